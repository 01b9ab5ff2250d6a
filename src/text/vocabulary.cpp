#include "text/vocabulary.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/quote.h"
#include "text/host.h"
#include "text/unicode.h"

namespace pronk::text {
namespace {

constexpr std::string_view tokens_key = "tokenizer.ggml.tokens";
constexpr std::string_view scores_key = "tokenizer.ggml.scores";
constexpr std::string_view types_key = "tokenizer.ggml.token_type";
constexpr std::string_view merges_key = "tokenizer.ggml.merges";
constexpr std::string_view charsmap_key = "tokenizer.ggml.precompiled_charsmap";

// Files do not always say that these are control tokens or that generation ends with them; the field goes by spelling.
constexpr std::string_view end_spellings[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "</s>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "[e~[",
    "<｜end▁of▁sentence｜>",
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<fim-repo>",
    "<|repo_name|>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
};
constexpr std::string_view infill_spellings[] = {
    "<|fim_prefix|>",  "<fim-prefix>",  "<fim_prefix>",    "<｜fim▁begin｜>", "<PRE>",           "▁<PRE>",
    "<|code_prefix|>", "<|prefix|>",    "<|fim_suffix|>",  "<fim-suffix>",    "<fim_suffix>",    "<｜fim▁hole｜>",
    "<SUF>",           "▁<SUF>",        "<|code_suffix|>", "<|suffix|>",      "<|fim_middle|>",  "<fim-middle>",
    "<fim_middle>",    "<｜fim▁end｜>", "<MID>",           "▁<MID>",          "<|code_middle|>", "<|middle|>",
};

std::string disagreement(std::string_view key, u64 found, u64 wanted) {
  return std::string(key) + " has " + std::to_string(found) + " entries, " + std::string(tokens_key) + " has " +
         std::to_string(wanted);
}

Status load_kind(const files::Metadata& metadata, Vocabulary& out) {
  constexpr std::pair<std::string_view, Kind> models[] = {
      {"llama", Kind::sentencepiece}, {"gpt2", Kind::byte_bpe}, {"gemma4", Kind::byte_bpe},
      {"bert", Kind::word_piece},     {"t5", Kind::unigram},
  };
  PRONK_TRY(const std::string_view model, metadata.string_at("tokenizer.ggml.model"));
  const auto* found =
      std::find_if(std::begin(models), std::end(models), [&](const auto& entry) { return entry.first == model; });
  if (found == std::end(models)) {
    return fail(ErrorCode::unsupported,
                "tokenizer.ggml.model: " + quoted(model) + " is not supported (llama, gpt2, gemma4, bert and t5 are)");
  }
  out.kind = found->second;
  if (out.kind != Kind::byte_bpe) return {};
  PRONK_TRY(const std::string_view name, metadata.string_or("tokenizer.ggml.pre", "default"));
  const auto pre = PreTokenizer::by_name(model == "gemma4" ? model : name);
  if (!pre)
    return fail(ErrorCode::unsupported, "tokenizer.ggml.pre: the pre-tokenizer " + quoted(name) + " is not known");
  out.pre = *pre;
  return {};
}

Status load_types(const files::Metadata& metadata, Vocabulary& out) {
  const u32 count = out.spellings.count();
  out.types.assign(count, TokenType::normal);
  PRONK_TRY(const files::Array* types, metadata.integers_or_null(types_key));
  if (!types) return {};
  if (types->count() != count) return fail(disagreement(types_key, types->count(), count));
  for (u32 id = 0; id < count; ++id) {
    const i64 type = types->integer(id);
    out.types[id] = type >= 0 && type <= i64(TokenType::byte) ? TokenType(type) : TokenType::undefined;
  }
  return {};
}

// Orders floats as integers, the highest first; -0 equals 0.
u32 score_key(float score) {
  const u32 bits = std::bit_cast<u32>(score + 0.0f);
  return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

Status load_scores(const files::Metadata& metadata, Vocabulary& out) {
  const u32 count = out.spellings.count();
  out.scores.assign(count, 0);
  PRONK_TRY(const files::Array* scores, metadata.numbers_or_null(scores_key));
  if (!scores) return {};
  if (scores->count() != count) return fail(disagreement(scores_key, scores->count(), count));
  for (u32 id = 0; id < count; ++id) {
    out.scores[id] = double(float(scores->number(id)));
    if (std::isnan(out.scores[id])) {
      return fail(std::string(scores_key) + "[" + std::to_string(id) + "] is not a number");
    }
  }
  return {};
}

Status load_sentencepiece(const files::Metadata& metadata, Vocabulary& out) {
  PRONK_OK(load_scores(metadata, out));
  for (const double score : out.scores) out.score_keys.push_back(score_key(float(score)));
  out.scores = {};
  return {};
}

Status load_byte_bpe(const files::Metadata& metadata, Vocabulary& out) {
  PRONK_TRY(const files::Array* merges, metadata.strings_at(merges_key));
  return out.merges.load(*merges, out.spellings, merges_key);
}

Status load_word_piece(const files::Metadata& metadata, Vocabulary& out) {
  PRONK_TRY(out.lowers_case, metadata.bool_or("tokenizer.ggml.normalizer.lowercase", true));
  PRONK_TRY(out.strips_accents, metadata.bool_or("tokenizer.ggml.normalizer.strip_accents", out.lowers_case));
  out.pieces = index_of(out, [](TokenType type) { return type != TokenType::control && type != TokenType::unknown; });
  return {};
}

Status load_unigram(const files::Metadata& metadata, Vocabulary& out) {
  constexpr float unknown_penalty = 10;  // SentencePiece's kUnkPenalty
  PRONK_OK(load_scores(metadata, out));
  float lowest = std::numeric_limits<float>::max();
  for (u32 id = 0; id < out.scores.size(); ++id) {
    if (std::isinf(out.scores[id])) return fail(std::string(scores_key) + "[" + std::to_string(id) + "] is infinite");
    if (out.types[id] == TokenType::normal) lowest = std::min(lowest, float(out.scores[id]));
  }
  out.unknown_score = lowest - unknown_penalty;
  out.pieces = index_of(out, [](TokenType type) {
    return type == TokenType::normal || type == TokenType::user_defined || type == TokenType::unused;
  });
  PRONK_TRY(out.merges_spaces, metadata.bool_or("tokenizer.ggml.remove_extra_whitespaces", false));
  PRONK_TRY(const files::Array* charsmap, metadata.integers_or_null(charsmap_key));
  return charsmap ? out.charsmap.load(*charsmap, charsmap_key) : Status{};
}

Status load_pieces(const files::Metadata& metadata, Vocabulary& out) {
  switch (out.kind) {
    case Kind::sentencepiece:
      return load_sentencepiece(metadata, out);
    case Kind::byte_bpe:
      return load_byte_bpe(metadata, out);
    case Kind::word_piece:
      return load_word_piece(metadata, out);
    case Kind::unigram:
      return load_unigram(metadata, out);
  }
}

// An absent key gives the fallback where the vocabulary has such an id; all ones, which some converters write, means
// none.
Result<u32> special_id(const files::Metadata& metadata, std::string_view key, u32 vocab_size, u32 fallback) {
  if (!metadata.has(key)) return fallback < vocab_size ? fallback : no_token;
  PRONK_TRY(const i64 id, metadata.i64_at(key));
  if (id == -1 || id == i64{no_token}) return no_token;
  if (id < 0 || id >= vocab_size) {
    return fail(std::string(key) + " is " + std::to_string(id) + ", the vocabulary has " + std::to_string(vocab_size) +
                " tokens");
  }
  return u32(id);
}

// Two spellings of the list do not end generation where others tell what they mean: <|end|> ends a message of which
// several make an answer (gpt-oss, Solar), and </s> is plain text (Gemma 4).
bool ends_generation(std::string_view spelling, const Spellings& spellings) {
  const auto has = [&](std::string_view other) { return spellings.find(other) != no_token; };
  if (spelling == "</s>") return !has("<|tool_response>");
  if (spelling != "<|end|>") return true;
  return !((has("<|call|>") || has("<|calls|>")) && (has("<|return|>") || has("<|flush|>")));
}

Status load_ends(const files::Metadata& metadata, Vocabulary& out) {
  const u32 count = out.spellings.count();
  if (out.eos != no_token) out.ends.push_back(out.eos);
  for (const std::string_view key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    PRONK_TRY(const u32 id, special_id(metadata, key, count, no_token));
    if (id != no_token) out.ends.push_back(id);
  }
  add_known_ends(out);
  return {};
}

// What holds where the file does not say.
struct Defaults {
  u32 bos, eos, unknown;
  bool add_bos, add_eos, add_space_prefix;
};
Defaults defaults_of(const Vocabulary& vocabulary) {
  switch (vocabulary.kind) {
    case Kind::sentencepiece:
      return {1, 2, 0, true, false, true};
    case Kind::byte_bpe:
      return {no_token, no_token, no_token, vocabulary.pre.adds_bos(), false, false};
    case Kind::word_piece:
      return {101, 102, 100, true, true, false};
    case Kind::unigram:
      return {no_token, 1, 2, false, true, false};
  }
}

Status load_ids(const files::Metadata& metadata, const Defaults& defaults, Vocabulary& out) {
  const u32 count = out.spellings.count();
  std::string_view bos_key = "tokenizer.ggml.bos_token_id", eos_key = "tokenizer.ggml.eos_token_id";
  if (out.kind == Kind::word_piece) {
    if (!metadata.has(bos_key)) bos_key = "tokenizer.ggml.cls_token_id";
    eos_key = "tokenizer.ggml.seperator_token_id";  // so spelled in files
  }
  constexpr std::string_view unknown_key = "tokenizer.ggml.unknown_token_id";
  PRONK_TRY(out.bos, special_id(metadata, bos_key, count, defaults.bos));
  PRONK_TRY(out.eos, special_id(metadata, eos_key, count, defaults.eos));
  PRONK_TRY(out.unknown, special_id(metadata, unknown_key, count, defaults.unknown));
  const bool needs_unknown = out.kind == Kind::word_piece || out.kind == Kind::unigram;
  if (needs_unknown && out.unknown == no_token) return fail(std::string(unknown_key) + " is not there");
  return {};
}

// Whether bos and eos are added. The first files of Gemma 4 say false, and are wrong.
Status load_additions(const files::Metadata& metadata, const Defaults& defaults, Vocabulary& out) {
  constexpr std::string_view bos_key = "tokenizer.ggml.add_bos_token";
  const std::string_view eos_key =
      out.kind == Kind::word_piece ? "tokenizer.ggml.add_sep_token" : "tokenizer.ggml.add_eos_token";
  PRONK_TRY(out.add_bos, metadata.bool_or(bos_key, defaults.add_bos && out.bos != no_token));
  PRONK_TRY(out.add_eos, metadata.bool_or(eos_key, defaults.add_eos && out.eos != no_token));
  PRONK_TRY(const std::string_view model, metadata.string_at("tokenizer.ggml.model"));
  if (model == "gemma4") out.add_bos = out.bos != no_token;
  if (out.add_bos && out.bos == no_token) {
    return fail(std::string(bos_key) + " is true, but tokenizer.ggml.bos_token_id is not there");
  }
  if (out.add_eos && out.eos == no_token) {
    return fail(std::string(eos_key) + " is true, but tokenizer.ggml.eos_token_id is not there");
  }
  return {};
}

Status load_special(const files::Metadata& metadata, Vocabulary& out) {
  const Defaults defaults = defaults_of(out);
  PRONK_OK(load_ids(metadata, defaults, out));
  PRONK_OK(load_additions(metadata, defaults, out));
  const bool may_prefix = out.kind == Kind::sentencepiece || out.kind == Kind::unigram;
  PRONK_TRY(const bool prefix, metadata.bool_or("tokenizer.ggml.add_space_prefix", defaults.add_space_prefix));
  out.add_space_prefix = prefix && may_prefix;
  out.strips_leading_space = out.add_space_prefix || out.kind == Kind::word_piece;
  PRONK_OK(load_ends(metadata, out));
  out.special = index_of(out, [](TokenType type) {
    return type == TokenType::control || type == TokenType::user_defined || type == TokenType::unknown;
  });
  return {};
}

void find_byte_tokens(Vocabulary& out) {
  for (u32 byte = 0; byte < 256; ++byte) {
    std::string spelling;
    if (out.kind == Kind::byte_bpe && !out.pre.over_characters()) {
      append_utf8(byte_to_char(u8(byte)), spelling);
      out.byte_tokens[byte] = out.spellings.find(spelling);
      continue;
    }
    u32 id = out.spellings.find(byte_spelling(u8(byte)));
    if (id == no_token && out.kind == Kind::sentencepiece) id = out.spellings.find(std::string(1, char(byte)));
    out.byte_tokens[byte] = id == no_token ? out.unknown : id;
  }
}

// Phi-3's special tokens are "rstrip" in its tokenizer.json, which GGUF has no key for; the field goes by the name.
Status load_strip(const files::Metadata& metadata, Vocabulary& out) {
  PRONK_TRY(const std::string_view name, metadata.string_or("general.name", ""));
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? char(c | 0x20) : c;
  out.strips_after_special = lower.find("phi-3") != std::string::npos || lower.find("phi3") != std::string::npos;
  return {};
}

constexpr bool stands_for_itself(u32 byte) {
  return (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte < 0x100 && byte != 0xad);
}

struct ByteChars {
  std::array<u16, 256> to_char{};
  std::array<u16, 0x180> to_byte{};  // 0xffff: none
};
constexpr ByteChars byte_chars = [] {
  ByteChars chars;
  chars.to_byte.fill(0xffff);
  u16 next = 0x100;
  for (u32 byte = 0; byte < 256; ++byte) {
    const u16 c = stands_for_itself(byte) ? u16(byte) : next++;
    chars.to_char[byte] = c;
    chars.to_byte[c] = u16(byte);
  }
  return chars;
}();

Result<std::vector<u32>> ids_at(const files::Metadata& metadata, std::string_view key, u32 vocab_size) {
  PRONK_TRY(const files::Array* ids, metadata.integers_at(key));
  std::vector<u32> out;
  for (u64 i = 0; i < ids->count(); ++i) {
    const i64 id = ids->integer(i);
    if (id < 0 || id >= vocab_size) return fail(std::string(key) + ": there is no token " + std::to_string(id));
    out.push_back(u32(id));
  }
  return out;
}

// Of a file that has a tokenizer.json in a key.
Result<Vocabulary> load_with_json(const files::Metadata& metadata) {
  Vocabulary out;
  PRONK_TRY(const files::Array* tokens, metadata.strings_at(tokens_key));
  PRONK_OK(out.spellings.load(*tokens, tokens_key));
  PRONK_OK(load_types(metadata, out));
  PRONK_OK(load_json_pipeline(metadata, out));
  const u32 count = out.spellings.count();
  PRONK_TRY(out.bos, special_id(metadata, "tokenizer.ggml.bos_token_id", count, no_token));
  PRONK_TRY(out.eos, special_id(metadata, "tokenizer.ggml.eos_token_id", count, no_token));
  PRONK_TRY(out.prefix, ids_at(metadata, prefix_key, count));
  PRONK_TRY(out.suffix, ids_at(metadata, suffix_key, count));
  PRONK_TRY(out.ends, ids_at(metadata, ends_key, count));
  add_known_ends(out);
  out.add_bos = !out.prefix.empty() && out.bos != no_token;
  out.add_eos = !out.suffix.empty();
  PRONK_TRY(out.strips_leading_space, metadata.bool_or(strips_space_key, false));
  PRONK_TRY(const std::string_view chat_template, metadata.string_or("tokenizer.chat_template", ""));
  out.chat_template = chat_template;
  return out;
}

}  // namespace

void add_known_ends(Vocabulary& out) {
  for (const std::string_view spelling : end_spellings) {
    const u32 id = out.spellings.find(spelling);
    if (id == no_token || !ends_generation(spelling, out.spellings)) continue;
    out.ends.push_back(id);
    out.types[id] = TokenType::control;
  }
  for (const std::string_view spelling : infill_spellings) {
    if (const u32 id = out.spellings.find(spelling); id != no_token) out.types[id] = TokenType::control;
  }
  std::sort(out.ends.begin(), out.ends.end());
  out.ends.erase(std::unique(out.ends.begin(), out.ends.end()), out.ends.end());
}

std::string byte_spelling(u8 byte) {
  constexpr char digits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
}

u32 byte_to_char(u8 byte) { return byte_chars.to_char[byte]; }

u32 char_to_byte(u32 code_point) {
  if (code_point >= byte_chars.to_byte.size() || byte_chars.to_byte[code_point] == 0xffff) return no_token;
  return byte_chars.to_byte[code_point];
}

Result<Vocabulary> load_vocabulary(const files::Metadata& metadata) {
  if (metadata.has(json_key)) return load_with_json(metadata);
  Vocabulary out;
  PRONK_OK(load_kind(metadata, out));
  PRONK_TRY(const files::Array* tokens, metadata.strings_at(tokens_key));
  PRONK_OK(out.spellings.load(*tokens, tokens_key));
  PRONK_OK(load_types(metadata, out));
  PRONK_OK(load_pieces(metadata, out));
  PRONK_OK(load_special(metadata, out));
  PRONK_OK(load_strip(metadata, out));
  find_byte_tokens(out);
  PRONK_TRY(out.composes, metadata.bool_or(nfc_key, false));
  if (out.add_bos) out.prefix = {out.bos};
  if (out.add_eos) out.suffix = {out.eos};
  PRONK_TRY(const std::string_view chat_template, metadata.string_or("tokenizer.chat_template", ""));
  out.chat_template = chat_template;
  return out;
}

}  // namespace pronk::text
