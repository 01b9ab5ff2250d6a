// tokenizer.json: small files made here, each for one thing that it may say.
#include <nlohmann/json.hpp>

#include "fixtures.h"
#include "text/normal_form.h"
#include "text/pre_tokenizer.h"

namespace pronk::text {
namespace {

using nlohmann::json;

json step(const char* type, json others = json::object()) {
  others["type"] = type;
  return others;
}

json vocab_of(const std::vector<std::string>& pieces) {
  json out = json::object();
  for (u32 id = 0; id < pieces.size(); ++id) out[pieces[id]] = id;
  return out;
}

json added(u32 id, const char* content, bool special) {
  return {{"id", id}, {"content", content}, {"special", special}, {"normalized", false}};
}

// Of the byte alphabet: a b c Ġ, ab, abc and Ġa, of which abc is built by no merge; two added tokens.
json byte_level() {
  json file;
  file["model"] = {{"type", "BPE"},
                   {"vocab", vocab_of({"a", "b", "c", "Ġ", "ab", "abc", "Ġa", "Ã", "©"})},
                   {"merges", {{"a", "b"}, "Ġ a"}}};
  file["pre_tokenizer"] = step("ByteLevel", {{"add_prefix_space", false}});
  file["decoder"] = step("ByteLevel");
  file["added_tokens"] = {added(9, "<s>", true), added(20, "<t>", false)};
  return file;
}

// SentencePiece's way: ▁ for spaces, bytes for what has no token.
json byte_fallback() {
  std::vector<std::string> pieces = {"<unk>", "<s>", "</s>"};
  for (u32 byte = 0; byte < 256; ++byte) {
    constexpr char digits[] = "0123456789ABCDEF";
    pieces.push_back({'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'});
  }
  pieces.insert(pieces.end(), {"▁", "a", "b", "▁a"});
  json file;
  file["model"] = {
      {"type", "BPE"},        {"vocab", vocab_of(pieces)}, {"merges", json::array({json::array({"▁", "a"})})},
      {"unk_token", "<unk>"}, {"byte_fallback", true},     {"fuse_unk", true}};
  const json replace = step("Replace", {{"pattern", {{"String", " "}}}, {"content", "▁"}});
  file["normalizer"] = step("Sequence", {{"normalizers", {step("Prepend", {{"prepend", "▁"}}), replace}}});
  const json back = step("Replace", {{"pattern", {{"String", "▁"}}}, {"content", " "}});
  const json strip = step("Strip", {{"content", " "}, {"start", 1}, {"stop", 0}});
  file["decoder"] = step("Sequence", {{"decoders", {back, step("ByteFallback"), step("Fuse"), strip}}});
  file["added_tokens"] = {added(0, "<unk>", true), added(1, "<s>", true), added(2, "</s>", true)};
  return file;
}

json words(json others) {
  others["model"] = {{"type", "WordLevel"}, {"vocab", vocab_of({"[UNK]", "a", "b"})}, {"unk_token", "[UNK]"}};
  return others;
}

std::string dumped(const json& file) { return file.dump(); }

Tokenizer load(const json& file, TokenizerFiles others = {}) {
  others.tokenizer = dumped(file);
  auto tokenizer = Tokenizer::from_json(others);
  EXPECT_TRUE(tokenizer.has_value()) << (tokenizer ? "" : tokenizer.error().message);
  if (!tokenizer) std::abort();
  return std::move(*tokenizer);
}

std::string refusal(const json& file) {
  const auto tokenizer = Tokenizer::from_json({.tokenizer = dumped(file)});
  return tokenizer ? "" : tokenizer.error().message;
}

void expect_refused(const json& file, std::string_view why) {
  EXPECT_NE(refusal(file).find(why), std::string::npos) << why << " in: " << refusal(file);
}

constexpr Tokenizer::Encode plain{false, Tokenizer::Bos::off}, with_special{true, Tokenizer::Bos::off};

TEST(TokenizerJson, byte_level_bpe) {
  const Tokenizer tokenizer = load(byte_level());
  EXPECT_EQ(tokenizer.vocab_size(), 21u);
  EXPECT_EQ(encode(tokenizer, "abc ab", plain), (Ids{4, 2, 3, 4}));
  EXPECT_EQ(encode(tokenizer, "é", plain), (Ids{7, 8}));
  EXPECT_EQ(encode(tokenizer, "b a", plain), (Ids{1, 6}));
  EXPECT_EQ(tokenizer.decode({{7, 8, 6, 20, 15}}), "é a<t>");  // 15 is a hole
}

TEST(TokenizerJson, a_whole_piece_goes_before_merges_where_the_file_says_so) {
  json file = byte_level();
  file["model"]["ignore_merges"] = true;
  EXPECT_EQ(encode(load(file), "abc ab", plain), (Ids{5, 3, 4}));
}

TEST(TokenizerJson, added_tokens) {
  const Tokenizer tokenizer = load(byte_level());
  EXPECT_EQ(encode(tokenizer, "a<s>b<t>", with_special), (Ids{0, 9, 1, 20}));
  EXPECT_EQ(encode(tokenizer, "a<s>b<t>", plain), (Ids{0, 1, 20}));  // nothing else spells "<", "s" or ">"
  EXPECT_EQ(tokenizer.decode({{0, 9, 1}}), "ab");
  EXPECT_EQ(tokenizer.decode({{0, 9, 1}}, true), "a<s>b");
}

TEST(TokenizerJson, the_leftmost_longest_added_token_counts) {
  json file = byte_level();
  file["added_tokens"] = {added(9, "<s", true), added(10, "<s>", true), added(11, "s>b", true)};
  EXPECT_EQ(encode(load(file), "<s>b<sb", with_special), (Ids{10, 1, 9, 1}));
}

TEST(TokenizerJson, byte_fallback_and_the_space_in_front) {
  const Tokenizer tokenizer = load(byte_fallback());
  const u32 mark = 259, a = 260, mark_a = 262;
  EXPECT_EQ(encode(tokenizer, "a", plain), (Ids{mark_a}));
  EXPECT_EQ(encode(tokenizer, "a<s> a", with_special), (Ids{mark_a, 1, mark, mark_a}));
  const Ids bytes{mark, 3 + 0xc3, 3 + 0xa9, a};
  EXPECT_EQ(encode(tokenizer, "éa", plain), bytes);
  EXPECT_EQ(tokenizer.decode(bytes), "éa");
}

TEST(TokenizerJson, streams_what_the_decoders_give) {
  const Tokenizer tokenizer = load(byte_fallback());
  StreamDecoder decoder(tokenizer, false, true);
  EXPECT_EQ(decoder.push(262), "a");  // the space of the text's start is gone, and only that
  EXPECT_EQ(decoder.push(262), " a");
  EXPECT_EQ(decoder.push(3 + 0xc3), "");
  EXPECT_EQ(decoder.push(1), "");  // a control token is not there
  EXPECT_EQ(decoder.push(3 + 0xa9), "");
  EXPECT_EQ(decoder.push(261), "éb");
  for (const u32 byte : {0xffu, 0xc3u, 0xa9u}) EXPECT_EQ(decoder.push(3 + byte), "");
  EXPECT_EQ(decoder.finish(), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // one for each byte of such a run
}

TEST(TokenizerJson, unknown_characters_are_one_token_where_they_are_fused) {
  json file = byte_fallback();
  file["model"]["byte_fallback"] = false;
  EXPECT_EQ(encode(load(file), "xyaz", plain), (Ids{259, 0, 260, 0}));
  file["model"]["fuse_unk"] = false;
  EXPECT_EQ(encode(load(file), "xya", plain), (Ids{259, 0, 0, 260}));
}

TEST(TokenizerJson, unigram) {
  json file;
  file["model"] = {{"type", "Unigram"}, {"unk_id", 0}};
  file["model"]["vocab"] = json::parse(R"([["<unk>", 0], ["▁", -2], ["a", -3], ["b", -3], ["ab", -4], ["▁a", -3.5]])");
  file["pre_tokenizer"] = step("Metaspace", {{"prepend_scheme", "always"}});
  file["decoder"] = step("Metaspace", {{"prepend_scheme", "always"}});
  const Tokenizer tokenizer = load(file);
  EXPECT_EQ(encode(tokenizer, "ab a", plain), (Ids{1, 4, 5}));
  EXPECT_EQ(encode(tokenizer, "xyb", plain), (Ids{1, 0, 3}));
  EXPECT_EQ(tokenizer.decode({{5, 3, 5}}), "ab a");
}

TEST(TokenizerJson, word_piece_between_its_end_tokens) {
  json file;
  file["model"] = {{"type", "WordPiece"},
                   {"vocab", vocab_of({"[UNK]", "[CLS]", "[SEP]", "un", "##able", "##a", ",", "e"})},
                   {"unk_token", "[UNK]"}};
  file["normalizer"] = step("BertNormalizer");
  file["pre_tokenizer"] = step("BertPreTokenizer");
  file["post_processor"] = step("BertProcessing", {{"cls", {"[CLS]", 1}}, {"sep", {"[SEP]", 2}}});
  file["decoder"] = step("WordPiece");
  const Tokenizer tokenizer = load(file);
  EXPECT_EQ(encode(tokenizer, "Unable,\tÉ unx", {}), (Ids{1, 3, 4, 6, 7, 0, 2}));
  EXPECT_TRUE(tokenizer.adds_bos() && tokenizer.adds_eos());
  EXPECT_EQ(tokenizer.decode({{3, 4, 6, 7}}), "unable, e");
}

TEST(TokenizerJson, a_template_says_what_stands_around_a_text) {
  json file = byte_level();
  const json sequence = {{"Sequence", {{"id", "A"}}}}, special = {{"SpecialToken", {{"id", "<s>"}}}};
  file["post_processor"] =
      step("TemplateProcessing", {{"single", {special, sequence}}, {"special_tokens", {{"<s>", {{"ids", {9}}}}}}});
  EXPECT_EQ(encode(load(file), "b", {}), (Ids{9, 1}));
  EXPECT_EQ(load(file).bos(), 9u);
  file["post_processor"]["special_tokens"]["<s>"]["ids"] = {21};
  expect_refused(file, "there is no token 21");
}

TEST(TokenizerJson, what_the_other_files_say) {
  TokenizerFiles files;
  files.config = R"({"bos_token": {"content": "<s>"}, "add_bos_token": true, "chat_template":
                     [{"name": "tool", "template": "x"}, {"name": "default", "template": "y"}]})";
  files.special_tokens_map = R"({"bos_token": "a", "eos_token": "<t>"})";
  files.generation_config = R"({"eos_token_id": [2, 9, 400]})";
  const Tokenizer tokenizer = load(byte_level(), files);
  EXPECT_EQ(tokenizer.bos(), 9u);
  EXPECT_EQ(tokenizer.eos(), 20u);
  EXPECT_EQ(encode(tokenizer, "b", {}), (Ids{9, 1}));
  EXPECT_EQ(Ids(tokenizer.end_tokens().begin(), tokenizer.end_tokens().end()), (Ids{2, 9, 20}));
  EXPECT_EQ(tokenizer.chat_template(), "y");
  files.chat_template = "z";
  EXPECT_EQ(load(byte_level(), files).chat_template(), "z");
  const auto broken = Tokenizer::from_json({.tokenizer = dumped(byte_level()), .config = "{"});
  EXPECT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().message.find("tokenizer_config.json"), 0u);
}

TEST(TokenizerJson, what_is_not_supported_is_named) {
  json file = words({});
  file["normalizer"] = step("Bleach");
  expect_refused(file, "the normalizer 'Bleach'");
  file = words({{"pre_tokenizer", step("UnicodeScripts")}});
  expect_refused(file, "the pre_tokenizer 'UnicodeScripts'");
  expect_refused(words({{"decoder", step("CTC")}}), "the decoder 'CTC'");
  expect_refused(words({{"post_processor", step("Pair")}}), "the post_processor 'Pair'");
  file = byte_level();
  file["model"]["dropout"] = 0.5;
  expect_refused(file, "dropout");
  file["model"]["type"] = "Bigram";
  expect_refused(file, "the model 'Bigram'");
}

TEST(TokenizerJson, wrong_vocabularies) {
  json file = byte_level();
  file["model"]["merges"].push_back("a c");
  expect_refused(file, "not all is in the vocabulary");
  file = byte_level();
  file["model"]["vocab"]["z"] = 4;
  expect_refused(file, "two pieces have the id 4");
  file["model"]["vocab"]["z"] = 4294967295u;
  expect_refused(file, "is too large");
  file = byte_level();
  file["added_tokens"].push_back(added(20, "<v>", true));
  expect_refused(file, "has the id of '<t>'");
  file["added_tokens"] = {added(9, "", true)};
  expect_refused(file, "without content");
}

TEST(TokenizerJson, a_text_may_not_grow_without_bound) {
  json steps = json::array();
  for (u32 i = 0; i < 40; ++i) steps.push_back(step("Replace", {{"pattern", {{"String", "a"}}}, {"content", "aa"}}));
  const Tokenizer tokenizer = load(words({{"normalizer", step("Sequence", {{"normalizers", steps}})}}));
  EXPECT_TRUE(tokenizer.encode("b", plain).has_value());
  const auto ids = tokenizer.encode("a", plain);
  ASSERT_FALSE(ids.has_value());
  EXPECT_NE(ids.error().message.find("makes too much of a text"), std::string::npos);
}

std::string form(std::string_view text, bool compatible, bool composed) {
  std::string out;
  append_normal_form(text, compatible, composed, out);
  return out;
}

TEST(NormalForm, of_each_kind) {
  EXPECT_EQ(form("e\u0301 \u00e9", false, true), "\u00e9 \u00e9");
  EXPECT_EQ(form("\u1ed9", false, false), "o\u0323\u0302");
  EXPECT_EQ(form("o\u0302\u0323", false, true), "\u1ed9");        // marks are sorted first
  EXPECT_EQ(form("a\u0315\u0300", false, true), "\u00e0\u0315");  // of a lower class, so nothing keeps it apart
  EXPECT_EQ(form("a\u0301\u0300", false, true), "\u00e1\u0300");
  EXPECT_EQ(form("a\u0313\u0301", false, true), "a\u0313\u0301");  // of one class: the first keeps the other apart
  EXPECT_EQ(form("\u1112\u1161\u11ab \ud55c", false, true), "\ud55c \ud55c");
  EXPECT_EQ(form("\ud55c", false, false), "\u1112\u1161\u11ab");
  EXPECT_EQ(form("\u212b \ufb01", false, true), "\u00c5 \ufb01");
  EXPECT_EQ(form("\ufb01 \u2460 \ufdfa", true, true),
            "fi 1 \u0635\u0644\u0649 \u0627\u0644\u0644\u0647 "
            "\u0639\u0644\u064a\u0647 \u0648\u0633\u0644\u0645");
  EXPECT_EQ(form("\u0958", false, true), "\u0915\u093c");  // never composed
  EXPECT_EQ(form("\xff\u00e9\xc3", false, false),
            "\xff"
            "e\u0301\xc3");
}

std::vector<std::string> cut(std::string_view regex, const std::string& text) {
  const auto splitter = Splitter::parse(regex);
  EXPECT_TRUE(splitter.has_value()) << (splitter ? "" : splitter.error().message);
  std::vector<u32> ends;
  if (splitter) splitter->split(text, 0, text.size(), ends);
  std::vector<std::string> out;
  u32 start = 0;
  for (const u32 end : ends) out.push_back(text.substr(start, end - start)), start = end;
  return out;
}

using Strings = std::vector<std::string>;

TEST(SplitPattern, classes_and_sets) {
  EXPECT_EQ(cut(R"(\d+|\s)", "a12 b"), (Strings{"a", "12", " ", "b"}));
  EXPECT_EQ(cut(R"(\w+|[^\w\s]+)", "a_1 é-+"), (Strings{"a_1", " ", "é", "-+"}));
  EXPECT_EQ(cut(R"(\P{L}+)", "ab12c"), (Strings{"ab", "12", "c"}));
  EXPECT_EQ(cut(R"( ?[^(\s|[.,])]+)", "a,b (c"), (Strings{"a", ",", "b", " (", "c"}));
  EXPECT_EQ(cut(R"([^\S\n]+)", "a \n b"), (Strings{"a", " ", "\n", " ", "b"}));
  EXPECT_EQ(cut(R"(\x41\x{e9}{2,})", "Aéé Aé"), (Strings{"Aéé", " Aé"}));
}

TEST(SplitPattern, the_end_of_a_line) {
  EXPECT_EQ(cut(R"(\s+$)", "a \nb  "), (Strings{"a", " ", "\nb", "  "}));
  const std::string spaces(200000, ' ');  // tried from each of them, this would take minutes
  EXPECT_EQ(cut(R"(\s+$)", spaces + "a"), (Strings{spaces + "a"}));
}

TEST(SplitPattern, refuses_what_it_cannot_do_or_what_may_take_long) {
  for (const char* regex : {"(a",
                            "(a+)+$",
                            "x*",
                            "a|",
                            "",
                            "a**",
                            "a+?",
                            "[a",
                            "a{2",
                            "a{5,2}",
                            "a{9999}",
                            "^a",
                            "\\b",
                            "(?=a)b",
                            "[[:alpha:]]",
                            "\\p{Greek}",
                            "a$b",
                            "[z-a]",
                            "\\x{110000}",
                            "a*a*b",
                            "a*b*c*d*",
                            "a?b?c?d?e?f?g?h",
                            "(?i:[st])"}) {
    const auto splitter = Splitter::parse(regex);
    EXPECT_FALSE(splitter.has_value()) << regex;
    if (!splitter) EXPECT_EQ(splitter.error().message.find("the regular expression"), 0u);
  }
  EXPECT_FALSE(Splitter::parse(std::string(100000, 'a')).has_value());
  EXPECT_FALSE(Splitter::parse(std::string(100000, '[')).has_value());
}

}  // namespace
}  // namespace pronk::text
