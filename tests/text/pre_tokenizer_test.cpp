#include "text/pre_tokenizer.h"

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fixtures.h"

namespace pronk::text {
namespace {

using Words = std::vector<std::string>;

Words split(std::string_view name, std::string_view text) {
  const auto pre = PreTokenizer::by_name(name);
  EXPECT_TRUE(pre) << name;
  std::vector<u32> ends;
  if (pre) pre->split(text, ends);
  Words words;
  u32 start = 0;
  for (const u32 end : ends) {
    words.emplace_back(text.substr(start, end - start));
    start = end;
  }
  EXPECT_EQ(start, text.size());
  return words;
}

TEST(PreTokenizer, gpt2) {
  const auto gpt2 = [](std::string_view text) { return split("gpt-2", text); };
  EXPECT_EQ(gpt2(""), (Words{}));
  EXPECT_EQ(gpt2("Hello world"), (Words{"Hello", " world"}));
  EXPECT_EQ(gpt2("I'm they're I'LL"), (Words{"I", "'m", " they", "'re", " I", "'", "LL"}));
  EXPECT_EQ(gpt2("a  b   "), (Words{"a", " ", " b", "   "}));
  EXPECT_EQ(gpt2("a \n b"), (Words{"a", " \n", " b"}));
  EXPECT_EQ(gpt2("a\n\nb"), (Words{"a", "\n", "\n", "b"}));
  EXPECT_EQ(gpt2("12345 67"), (Words{"12345", " 67"}));
  EXPECT_EQ(gpt2("x!?, 😀😀é"), (Words{"x", "!?,", " 😀😀", "é"}));
  EXPECT_EQ(gpt2("a\u00a0b"), (Words{"a", "\u00a0", "b"}));
  EXPECT_EQ(gpt2("a\xff\xfe b"), (Words{"a", "\xff\xfe", " b"}));
}

TEST(PreTokenizer, smollm) {
  const auto smollm = [](std::string_view text) { return split("smollm", text); };
  EXPECT_EQ(smollm("a 12b"), (Words{"a", " ", "1", "2", "b"}));
  EXPECT_EQ(smollm("a  1"), (Words{"a", "  ", "1"}));  // the space ends its stretch and stays whole
  EXPECT_EQ(smollm("½³x"), (Words{"½", "³", "x"}));
}

TEST(PreTokenizer, llama3) {
  const auto llama3 = [](std::string_view text) { return split("llama3", text); };
  EXPECT_EQ(llama3("Hello world"), (Words{"Hello", " world"}));
  EXPECT_EQ(llama3("I'M we'Ve 'sup"), (Words{"I", "'M", " we", "'Ve", " '", "sup"}));
  EXPECT_EQ(llama3("'sup"), (Words{"'s", "up"}));
  EXPECT_EQ(llama3("1234567 8"), (Words{"123", "456", "7", " ", "8"}));
  EXPECT_EQ(llama3("(abc)\n\nx"), (Words{"(abc", ")\n\n", "x"}));
  EXPECT_EQ(llama3("a  \n \n  b"), (Words{"a", "  \n \n", " ", " b"}));
  EXPECT_EQ(llama3("a\tb\r\nc"), (Words{"a", "\tb", "\r\n", "c"}));
  EXPECT_EQ(llama3("a   "), (Words{"a", "   "}));
  EXPECT_EQ(llama3(" !!\n1"), (Words{" !!\n", "1"}));
}

TEST(PreTokenizer, qwen2) {
  EXPECT_EQ(split("qwen2", "ab 123"), (Words{"ab", " ", "1", "2", "3"}));
  EXPECT_EQ(split("qwen2", "don'T"), (Words{"don", "'T"}));
}

TEST(PreTokenizer, fallback) {
  const auto fallback = [](std::string_view text) { return split("default", text); };
  EXPECT_EQ(fallback("a+b = c."), (Words{"a", "+", "b", " ", "=", " c", "."}));
  EXPECT_EQ(fallback("x 12345"), (Words{"x", " ", "123", "45"}));
  EXPECT_EQ(fallback("12３4567"), (Words{"12３", "456", "7"}));
  EXPECT_EQ(fallback("it's"), (Words{"it", "'", "s"}));
}

TEST(PreTokenizer, names) {
  EXPECT_TRUE(PreTokenizer::by_name("llama-bpe")->ignores_merges());
  EXPECT_TRUE(PreTokenizer::by_name("llama-v3")->adds_bos());
  EXPECT_TRUE(PreTokenizer::by_name("tekken")->adds_bos());
  EXPECT_FALSE(PreTokenizer::by_name("gpt-4o")->adds_bos());
  EXPECT_TRUE(PreTokenizer::by_name("glm4")->ignores_merges());
  EXPECT_FALSE(PreTokenizer::by_name("chatglm-bpe")->ignores_merges());
  EXPECT_TRUE(PreTokenizer::by_name("gemma4")->over_characters());
  for (const char* name : {"", " ", "llama", "qwen2 stablelm2", "nope"}) {
    EXPECT_FALSE(PreTokenizer::by_name(name)) << name;
  }
}

// tools/split_cases.py ran the same expressions by another engine.
TEST(PreTokenizer, cuts_as_the_published_expressions) {
  std::ifstream cases(PRONK_SOURCE_DIR "/tests/text/split_cases.jsonl");
  std::map<std::string, u32> texts;  // by pre-tokenizer
  for (std::string line; std::getline(cases, line);) {
    const nlohmann::json entry = nlohmann::json::parse(line);
    const Words words = entry["words"];
    std::string text;
    for (const std::string& word : words) text += word;
    std::istringstream names(entry["pre"].get<std::string>());
    for (std::string name; names >> name; ++texts[name]) EXPECT_EQ(split(name, text), words) << name;
  }
  for (const std::string_view name : pre_tokenizer_names()) EXPECT_EQ(texts[std::string(name)], 17u) << name;
}

// One name for each way to cut.
constexpr std::string_view one_of_each[] = {
    "default",  "gpt-2",    "smollm",       "falcon",         "llama3",      "minicpm5", "qwen2",
    "qwen35",   "ufakzeka", "laguna",       "bailingmoe",     "seed-coder",  "gpt-4o",   "tekken",
    "youtu",    "kimi-k2",  "deepseek-llm", "deepseek-coder", "deepseek-v3", "spark2_5", "afmoe",
    "superbpe", "bloom",    "viking",       "chameleon",      "gemma4",
};

// Attempts must not add up over a long run: at n² this would take hours.
TEST(PreTokenizer, long_runs) {
  for (const std::string_view name : one_of_each) {
    const auto pre = PreTokenizer::by_name(name);
    ASSERT_TRUE(pre) << name;
    for (const std::string_view part :
         {" ", "\n", "A", "a", "1", "中", "\u0301", "!", "\x01", "\xff", "'", "aA", " \n"}) {
      std::string text;
      while (text.size() < 1 << 16) text += part;
      text += "中";  // so that the space before it is not the text's end
      std::vector<u32> ends;
      pre->split(text, ends);
      EXPECT_EQ(ends.back(), text.size());
    }
  }
}

TEST(SplitPattern, gives_back_whole_characters) {
  const auto first = [](std::string_view pattern, std::string_view text) {
    return text.substr(0, SplitPattern(pattern).match(text, 0, text.size()));
  };
  EXPECT_EQ(first("\\p{L}+é", "aéé"), "aéé");
  EXPECT_EQ(first("[^x]+中\\p{N}", "中😀中1中"), "中😀中1");
  EXPECT_EQ(first("[^x]+中", "é\xe4\xb8中\xb8\xad"), "é\xe4\xb8中");  // bytes that are no characters in between
  EXPECT_EQ(first("[^x]++中", "a中"), "");                            // possessive: nothing is given back
  EXPECT_EQ(first("\\p{N}{2,3}", "1"), "");
  EXPECT_EQ(first("\\p{N}{2,3}", "1234"), "123");
  EXPECT_EQ(first("a(?i:'s|'ll)?", "a'LLx"), "a'LL");
  EXPECT_EQ(first("a(?i:'s|'ll)?", "a'L"), "a");
  EXPECT_EQ(first("\\s+(?!\\S)|\\s", "   x"), "  ");
  EXPECT_EQ(first("\\s+(?!\\S)|\\s", " x"), " ");
  EXPECT_EQ(first("[\\p{L}&&[^\\p{Han}]]+", "aé中"), "aé");
  EXPECT_EQ(first("[^\\p{L}]+", "12\xff中"), "12\xff");
}

// Whatever the text, the words cover it and none is empty.
TEST(PreTokenizer, covers_any_bytes) {
  Random random{7};
  constexpr std::string_view parts[] = {" ", "\n", "\r",     "'s", "'", "a", "Z",    "1",       "½",
                                        "é", "中", "\u3000", "😀", ".", "$", "\xff", "\xe2\x82"};
  for (u32 round = 0; round < 500; ++round) {
    std::string text;
    for (u64 i = random.below(12); i-- > 0;) text += parts[random.below(std::size(parts))];
    for (const std::string_view name : one_of_each) {
      for (const std::string& word : split(name, text)) EXPECT_FALSE(word.empty()) << name;
    }
  }
}

}  // namespace
}  // namespace pronk::text
