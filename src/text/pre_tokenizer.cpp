#include "text/pre_tokenizer.h"

#include <algorithm>

namespace pronk::text {
namespace {

// A published regular expression; where `by` says so, it is carried out by other means than SplitPattern.
struct Rule {
  std::string_view pattern;
  SplitBy by = SplitBy::pattern;
};

// Characters that Unicode normalization would change are written by number.
// Whole word patterns, each named after a model that is known for it.
constexpr Rule gpt2 = {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"};
constexpr Rule llama3 = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)"};
constexpr Rule minicpm5 = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)"};
constexpr Rule qwen2 = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)"};
constexpr Rule qwen35 = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr Rule ufakzeka = {R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr Rule bailing = {
    R"('(?i:s|d|m|t|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"};
constexpr Rule seed_coder = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)"};
constexpr Rule gpt4o = {
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr Rule tekken = {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                         R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|)"
                         R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr Rule youtu = {
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr Rule kimi_k2 = {
    R"([\p{Han}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr Rule deepseek3 = {R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
                            R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr Rule spark = {
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|)"
    R"([\r\n]|\s+(?!\S)|\s+)"};
constexpr Rule bloom = {R"( ?[^(\s|.,!?…。，、।۔،)]+)"};

// Parts that are cut out before or after.
constexpr Rule number = {R"(\p{N})"};
constexpr Rule numbers = {R"(\p{N}+)"};
constexpr Rule three_numbers = {R"(\p{N}{1,3})"};
constexpr Rule number_groups = {R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$)))", SplitBy::number_groups};
constexpr Rule digit_groups = {R"((?=(\d{3})+(?!\d)))", SplitBy::digit_groups};
constexpr Rule three_digits = {R"([0-9][0-9][0-9])"};
constexpr Rule line_break = {R"([\r\n])"};
constexpr Rule lines = {R"([^\n]+|[\n]+)"};
constexpr Rule punctuation = {R"([\p{P}$+<=>^~|]+)"};
constexpr Rule falcon_punctuation = {R"([\p{P}$+<=>^~|`]+)"};
constexpr Rule spaced_letters = {R"(\s?\p{L}+)"};
constexpr Rule spaced_punctuation = {R"(\s?\p{P}+)"};
constexpr Rule trailing_space = {R"(\s+$)", SplitBy::trailing_space};
constexpr Rule deepseek_letters = {
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ)"
    R"(Ὗ-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ)"
    R"(-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)"};
constexpr Rule deepseek_punctuation = {R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)"};
constexpr Rule deepseek_cjk = {R"([一-龥ࠀ-一가-퟿]+)"};
constexpr Rule deepseek3_cjk = {R"([一-龥぀-ゟ゠-ヿ]+)"};
constexpr Rule youtu_cjk = {
    R"([가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+)"};
constexpr Rule afmoe_scripts = {
    R"([一-鿿㐀-䶿\uf900-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+)"};
constexpr Rule chameleon_sentinel = {R"(<sentinel:[0-9]+>)"};
constexpr Rule chameleon_image = {R"(IMGIMG[A-I]{1,4}Z)"};
constexpr Rule chameleon_blank = {R"([\t\n]|    |  )"};
constexpr Rule chameleon_punctuation = {R"([\p{P}!-/:-@\[-`{-~])"};

enum : u32 { ignoring_merges = 1, with_bos = 2, by_characters = 4 };  // what PreTokenizer tells

struct Row {
  std::string_view names;  // separated by spaces
  const Rule* rules[6];    // one after the other, each on the pieces of the one before
  u32 flags = 0;
};
constexpr Row rows[] = {
    {"default", {&punctuation, &gpt2, &numbers, &three_digits}},
    {"gpt-2 phi-2 mpt olmo jais trillion granite-docling gigachat a.x-4.0 mellum exaone4 modern-bert roberta-bpe "
     "jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code",
     {&gpt2}},
    {"smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", {&number, &gpt2}},
    {"falcon", {&falcon_punctuation, &gpt2, &three_digits}},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     {&llama3},
     ignoring_merges | with_bos},
    {"dbrx smaug-bpe chatglm-bpe", {&llama3}},
    {"glm4 glm5", {&llama3}, ignoring_merges},
    {"minicpm5", {&three_numbers, &minicpm5}, ignoring_merges},
    {"qwen2 stablelm2 deepseek-r1-qwen kormo f2llmv2 megrez hunyuan solar-open grok-2", {&qwen2}},
    {"qwen35", {&qwen35}},
    {"ufakzeka", {&ufakzeka}},
    {"laguna", {&lines, &qwen2}},
    {"bailingmoe bailingmoe2 llada-moe", {&bailing}},
    {"seed-coder", {&seed_coder}},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", {&gpt4o}},
    {"granite-embed-multi-97m", {&gpt4o}, ignoring_merges},
    {"tekken", {&tekken}, ignoring_merges | with_bos},
    {"youtu", {&youtu_cjk, &youtu}, ignoring_merges},
    {"kimi-k2", {&kimi_k2}},
    {"deepseek-llm", {&line_break, &deepseek_letters, &deepseek_punctuation, &trailing_space, &deepseek_cjk, &numbers}},
    {"deepseek-coder", {&line_break, &spaced_letters, &spaced_punctuation, &deepseek_cjk, &number}},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", {&three_numbers, &deepseek3_cjk, &deepseek3}},
    {"spark2_5", {&three_numbers, &deepseek3_cjk, &spark, &number}},
    {"afmoe", {&number_groups, &afmoe_scripts, &deepseek3}},
    {"superbpe", {&numbers, &digit_groups}},
    {"bloom gpt3-finnish poro-chat", {&bloom}},
    {"viking", {&bloom, &number}},
    {"chameleon",
     {&chameleon_sentinel, &chameleon_image, &chameleon_blank, &number, &chameleon_punctuation, &gpt2},
     with_bos},
    {"gemma4 granite-embed-multi-311m sarvam-moe", {&lines}, by_characters},
};

template <class Visit>
void for_each_name(const Row& row, Visit visit) {
  for (std::string_view names = row.names; !names.empty();) {
    const std::string_view first = names.substr(0, names.find(' '));
    visit(first);
    names.remove_prefix(std::min(names.size(), first.size() + 1));
  }
}

// Cuts runs where what is left of them is a multiple of three long; `alone` also cuts at both ends.
template <class InRun>
void split_groups_of_three(std::string_view text, u64 start, InRun in_run, bool alone, std::vector<u32>& ends) {
  const auto cut = [&](u64 at) {
    if (at > start) ends.push_back(u32(at));
    start = at;
  };
  for (u64 at = start; at < text.size();) {
    u64 left = 0;
    for (u64 end = at; end < text.size(); ++left) {
      const DecodedChar c = decode_char(text, end);
      if (!in_run(class_of(c.code_point))) break;
      end += c.bytes;
    }
    if (left == 0) {
      at += decode_char(text, at).bytes;
      continue;
    }
    if (alone) cut(at);
    for (; left > 0; --left) {
      if (left % 3 == 0) cut(at);
      at += decode_char(text, at).bytes;
    }
    if (alone) cut(at);
  }
  cut(text.size());
}

void split_trailing_space(std::string_view text, u64 start, std::vector<u32>& ends) {
  u64 space = start;  // where the space begins that reaches to `at`
  for (u64 at = start; at < text.size();) {
    const DecodedChar c = decode_char(text, at);
    at += c.bytes;
    if (class_of(c.code_point) != CharClass::space) space = at;
  }
  if (space > start) ends.push_back(u32(space));
  if (text.size() > space) ends.push_back(u32(text.size()));
}

}  // namespace

const std::string_view gpt2_pattern = gpt2.pattern;

std::string_view PreTokenizer::name_of(std::span<const std::string> patterns, bool ignores_merges) {
  for (const Row& row : rows) {
    const auto end = std::ranges::find(row.rules, nullptr);
    const bool same = std::ranges::equal(std::span(std::begin(row.rules), end), patterns, {}, &Rule::pattern);
    const bool ignores = (row.flags & ignoring_merges) != 0, bytes = (row.flags & by_characters) == 0;
    if (same && bytes && ignores == ignores_merges) return row.names.substr(0, row.names.find(' '));
  }
  return {};
}

std::optional<PreTokenizer> PreTokenizer::by_name(std::string_view name) {
  for (const Row& row : rows) {
    bool found = false;
    for_each_name(row, [&](std::string_view each) { found = found || each == name; });
    if (!found) continue;
    PreTokenizer out;
    for (const Rule* rule : row.rules) {
      if (!rule) break;
      out.steps_.push_back({rule->by});
      if (rule->by == SplitBy::pattern) out.steps_.back().pattern.emplace_back(rule->pattern);
    }
    out.ignores_merges_ = (row.flags & ignoring_merges) != 0;
    out.adds_bos_ = (row.flags & with_bos) != 0;
    out.over_characters_ = (row.flags & by_characters) != 0;
    return out;
  }
  return std::nullopt;
}

std::vector<std::string_view> pre_tokenizer_names() {
  std::vector<std::string_view> out;
  for (const Row& row : rows) for_each_name(row, [&](std::string_view name) { out.push_back(name); });
  return out;
}

Result<Splitter> Splitter::parse(std::string_view regex) {
  for (const Rule& rule : {number_groups, digit_groups}) {
    if (rule.pattern == regex) return Splitter{rule.by};
  }
  PRONK_TRY(SplitPattern pattern, SplitPattern::parse(regex));
  return Splitter{SplitBy::pattern, {std::move(pattern)}};
}

void Splitter::split(std::string_view text, u64 start, u64 end, std::vector<u32>& ends) const {
  const std::string_view seen = text.substr(0, end);
  switch (by) {
    case SplitBy::pattern:
      return pattern[0].split(text, start, end, ends);
    case SplitBy::number_groups: {
      const auto is_number = [](CharClass c) { return c == CharClass::digit || c == CharClass::number; };
      return split_groups_of_three(seen, start, is_number, true, ends);
    }
    case SplitBy::digit_groups: {
      const auto is_digit = [](CharClass c) { return c == CharClass::digit; };
      return split_groups_of_three(seen, start, is_digit, false, ends);
    }
    case SplitBy::trailing_space:
      return split_trailing_space(seen, start, ends);
  }
}

void PreTokenizer::split(std::string_view text, std::vector<u32>& ends) const {
  std::vector<u32> pieces, before;
  if (!text.empty()) pieces.push_back(u32(text.size()));
  for (const Splitter& step : steps_) {
    pieces.swap(before);
    pieces.clear();
    u64 start = 0;
    for (const u32 end : before) {
      step.split(text, start, end, pieces);
      start = end;
    }
  }
  ends.insert(ends.end(), pieces.begin(), pieces.end());
}

}  // namespace pronk::text
