#include "text/gguf_keys.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "base/check.h"
#include "files/gguf.h"
#include "files/json.h"
#include "text/host.h"
#include "text/vocabulary.h"

namespace pronk::text {

namespace {

using files::GgufWriter;
using files::Json;
using files::JsonKind;
using files::JsonValue;

// Nobody reads it: the file itself is then a key.
std::unexpected<Error> no_keys() { return fail(""); }

// What cuts words before BPE, as regular expressions; nullopt: it is not byte-level.
Result<std::optional<std::vector<std::string>>> byte_level_patterns(JsonValue pre_tokenizer) {
  std::vector<JsonValue> steps;
  if (pre_tokenizer["type"].string().value_or("") == "Sequence") {
    for (const JsonValue step : pre_tokenizer["pretokenizers"]) steps.push_back(step);
  } else if (pre_tokenizer.is(JsonKind::object)) {
    steps.push_back(pre_tokenizer);
  }
  std::vector<std::string> patterns;
  bool byte_level = false;
  for (const JsonValue step : steps) {
    PRONK_TRY(const std::string_view type, step.string_at("type"));
    if (type == "Split" && step["pattern"]["Regex"].present()) {
      PRONK_TRY(const std::string_view pattern, step["pattern"].string_at("Regex"));
      patterns.emplace_back(pattern);
    } else if (type == "Digits" && step["individual_digits"].boolean().value_or(false)) {
      patterns.emplace_back(R"(\p{N})");
    } else if (type == "ByteLevel") {
      byte_level = true;
      PRONK_TRY(const bool by_words, step.boolean_or("use_regex", true));
      if (by_words) patterns.emplace_back(gpt2_pattern);
    } else if (type != "Split" && type != "Metaspace") {
      return no_keys();
    }
  }
  if (!byte_level) return std::nullopt;
  return patterns;
}

// "first second" of each, in the order of their ranks.
Result<std::vector<std::string>> read_merges(JsonValue model) {
  PRONK_TRY(const JsonValue list, model.array_at("merges"));
  std::vector<std::string> merges;
  for (const JsonValue merge : list) {
    if (merge.is(JsonKind::string)) {
      PRONK_TRY(const std::string_view both, merge.string());
      merges.emplace_back(both);
      continue;
    }
    std::string both;
    for (const JsonValue part : merge) {
      PRONK_TRY(const std::string_view text, part.string());
      if (text.find(' ') != text.npos) return no_keys();
      both += (both.empty() ? "" : " ") + std::string(text);
    }
    merges.push_back(std::move(both));
  }
  return merges;
}

// SentencePiece merges first what has the highest score; a merge list is in that order.
std::vector<float> scores_of(const std::vector<std::string>& tokens, const std::vector<std::string>& merges) {
  std::unordered_map<std::string, u32> ranks;
  for (std::string merge : merges) {
    merge.erase(merge.find(' '), 1);
    ranks.try_emplace(std::move(merge), u32(ranks.size()));
  }
  std::vector<float> scores;
  for (const std::string& token : tokens) {
    const auto rank = ranks.find(token);
    scores.push_back(-float(rank == ranks.end() ? u32(ranks.size()) : rank->second));
  }
  return scores;
}

void write_tokens(const Vocabulary& vocabulary, GgufWriter& out, std::vector<std::string>& tokens) {
  std::vector<i32> types;
  for (u32 id = 0; id < vocabulary.spellings.count(); ++id) {
    const std::string_view spelling = vocabulary.spellings[id];
    const bool hole = spelling.empty();
    tokens.push_back(hole ? "[PAD" + std::to_string(id) + "]" : std::string(spelling));
    const bool byte = vocabulary.kind == Kind::sentencepiece && spelling.size() == 6 && spelling.starts_with("<0x");
    types.push_back(i32(hole ? TokenType::unused : byte ? TokenType::byte : vocabulary.types[id]));
  }
  out.add_strings("tokenizer.ggml.tokens", tokens);
  out.add_i32s("tokenizer.ggml.token_type", types);
}

void write_special(const Vocabulary& vocabulary, bool adds_bos, bool adds_eos, GgufWriter& out) {
  if (vocabulary.bos != no_token) out.add_u32("tokenizer.ggml.bos_token_id", vocabulary.bos);
  if (vocabulary.eos != no_token) out.add_u32("tokenizer.ggml.eos_token_id", vocabulary.eos);
  if (vocabulary.unknown != no_token) out.add_u32("tokenizer.ggml.unknown_token_id", vocabulary.unknown);
  out.add_bool("tokenizer.ggml.add_bos_token", adds_bos);
  out.add_bool("tokenizer.ggml.add_eos_token", adds_eos);
  const std::string_view more_ends[] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
  u32 written = 0;
  for (const u32 end : vocabulary.ends) {
    if (end != vocabulary.eos && written < std::size(more_ends)) out.add_u32(more_ends[written++], end);
  }
  if (!vocabulary.chat_template.empty()) out.add_string("tokenizer.chat_template", vocabulary.chat_template);
}

// space_prefix: whether a text begins with a space that it does not have, of SentencePiece only.
Status write_keys(const TokenizerFiles& files, bool space_prefix, GgufWriter& out) {
  PRONK_TRY(Vocabulary vocabulary, load_vocabulary(files));
  PRONK_TRY(const Tokenizer tokenizer, Tokenizer::from_json(files));
  PRONK_TRY(const Json json, Json::parse(files.tokenizer));
  const JsonValue root = json.root(), model = root["model"];
  if (model.string_or("type", "BPE").value_or("") != "BPE") return no_keys();
  PRONK_TRY(const auto patterns, byte_level_patterns(root["pre_tokenizer"]));
  PRONK_TRY(const std::vector<std::string> merges, read_merges(model));
  PRONK_TRY(const bool ignores_merges, model.boolean_or("ignore_merges", false));
  PRONK_TRY(const bool byte_fallback, model.boolean_or("byte_fallback", false));
  if (!patterns && !byte_fallback) return no_keys();
  vocabulary.kind = patterns ? Kind::byte_bpe : Kind::sentencepiece;
  std::vector<std::string> tokens;
  out.add_string("tokenizer.ggml.model", patterns ? "gpt2" : "llama");
  write_tokens(vocabulary, out, tokens);
  if (patterns) {
    const std::string_view pre = PreTokenizer::name_of(*patterns, ignores_merges);
    if (pre.empty()) return no_keys();
    out.add_string("tokenizer.ggml.pre", pre);
    out.add_strings("tokenizer.ggml.merges", merges);
  } else {
    out.add_f32s("tokenizer.ggml.scores", scores_of(tokens, merges));
    out.add_bool("tokenizer.ggml.add_space_prefix", space_prefix);
  }
  if (root["normalizer"]["type"].string().value_or("") == "NFC") out.add_bool(nfc_key, true);
  write_special(vocabulary, tokenizer.adds_bos(), tokenizer.adds_eos(), out);
  return {};
}

void write_ids(std::string_view key, const std::vector<u32>& ids, GgufWriter& out) {
  out.add_i32s(key, std::vector<i32>(ids.begin(), ids.end()));
}

Status write_json(const TokenizerFiles& files, GgufWriter& out) {
  PRONK_TRY(const Vocabulary vocabulary, load_vocabulary(files));
  std::vector<std::string> tokens;
  out.add_string("tokenizer.ggml.model", "huggingface");
  write_tokens(vocabulary, out, tokens);
  write_special(vocabulary, !vocabulary.prefix.empty(), !vocabulary.suffix.empty(), out);
  write_ids(prefix_key, vocabulary.prefix, out);
  write_ids(suffix_key, vocabulary.suffix, out);
  write_ids(ends_key, vocabulary.ends, out);
  out.add_bool(strips_space_key, vocabulary.strips_leading_space);
  out.add_bool(joins_bytes_key, vocabulary.pipeline->joins_bytes);
  out.add_string(json_key, files.tokenizer);
  return {};
}

constexpr std::string_view texts[] = {
    "Hello, world! It's 2026; we've 1234567 things.",
    "  leading, inner   and trailing spaces  ",
    "line\nbreaks\r\n\r\n\tand tabs\t\t",
    "for (int i = 0; i < n; ++i) { a[i] += b[i] * 0x7f; }  // code",
    "Übung, naïve façade, Ελληνικά, Русский, עברית, العربية",
    "日本語の文章と漢字、한국어 문장, ไทย, हिन्दी",
    "😀👩‍👩‍👧 ∑∫√ — “quotes” … ½",
    "HTTP_STATUS_OK camelCase PascalCase don't DON'T",
    "e\u0301 \u1112\u1161\u11ab \u212b \u2460 \ufb01",  // in no normal form
    "",
};

Status compare(const Tokenizer& got, const Tokenizer& wanted) {
  const auto same = [&](std::string_view text, bool special = false) {
    const auto a = got.encode(text, {special}), b = wanted.encode(text, {special});
    return a && b && *a == *b;
  };
  for (u32 id = 0; id < wanted.vocab_size(); ++id) {
    const std::string token(wanted.spelling(id));
    if (wanted.is_control(id) && !token.empty() && !same(token + " " + token, true)) return no_keys();
  }
  for (const std::string_view text : texts) {
    if (!same(text)) return no_keys();
  }
  std::string text;
  for (u32 id = 0; id < wanted.vocab_size(); id += 1 + wanted.vocab_size() / 4096) {
    std::string piece;
    wanted.append_piece(id, piece, false);
    if (std::ranges::all_of(piece, [](char c) { return u8(c) < 0x80; })) text += piece;
    if (text.size() > 60 && !same(text)) return no_keys();
    if (text.size() > 60) text.clear();
  }
  const auto a = got.end_tokens(), b = wanted.end_tokens();
  return std::ranges::equal(a, b) ? Status() : no_keys();
}

// Keys that any program reads, where they give the same ids.
Status write_plain_keys(const TokenizerFiles& files, const Tokenizer& wanted, GgufWriter& out) {
  Status status;
  for (const bool space_prefix : {true, false}) {
    GgufWriter trial;
    PRONK_OK(write_keys(files, space_prefix, trial));
    const std::vector<u8> bytes = trial.header();
    PRONK_TRY(const files::GgufPrefix parsed, files::parse_gguf(bytes, bytes.size()));
    CHECK(parsed.gguf);
    const files::Metadata& keys = parsed.gguf->metadata;
    PRONK_TRY(const Tokenizer got, Tokenizer::from_metadata(keys));
    status = compare(got, wanted);
    if (!status) continue;
    for (u64 i = 0; i < keys.size(); ++i) out.add_entry(keys.raw(i));
    return {};
  }
  return status;
}

}  // namespace

Status write_gguf_keys(const TokenizerFiles& files, GgufWriter& out) {
  PRONK_TRY(const Tokenizer wanted, Tokenizer::from_json(files));
  return write_plain_keys(files, wanted, out) ? Status() : write_json(files, out);
}

}  // namespace pronk::text
