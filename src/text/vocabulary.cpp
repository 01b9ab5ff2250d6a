#include "text/vocabulary.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/quote.h"
#include "text/unicode.h"

namespace pronk::text {
namespace {

constexpr std::string_view tokens_key = "tokenizer.ggml.tokens";
constexpr std::string_view scores_key = "tokenizer.ggml.scores";
constexpr std::string_view types_key = "tokenizer.ggml.token_type";
constexpr std::string_view merges_key = "tokenizer.ggml.merges";

// Files do not always say that these are control tokens or that generation ends with them; the field goes by spelling.
constexpr std::string_view end_spellings[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
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
    "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>",
    "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>",  "<SUF>", "▁<SUF>", "<|code_suffix|>",
    "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>",   "<MID>", "▁<MID>", "<|code_middle|>",
};

std::string disagreement(std::string_view key, u64 found, u64 wanted) {
  return std::string(key) + " has " + std::to_string(found) + " entries, " + std::string(tokens_key) + " has " +
         std::to_string(wanted);
}

Status load_kind(const files::Metadata& metadata, Vocabulary& out) {
  PRONK_TRY(const std::string_view model, metadata.string_at("tokenizer.ggml.model"));
  if (model == "llama") {
    out.kind = Kind::sentencepiece;
    out.add_bos = out.add_space_prefix = true;
    return {};
  }
  if (model != "gpt2") {
    return fail(ErrorCode::unsupported,
                "tokenizer.ggml.model: " + quoted(model) + " is not supported (llama and gpt2 are)");
  }
  out.kind = Kind::byte_bpe;
  PRONK_TRY(const std::string_view name, metadata.string_or("tokenizer.ggml.pre", "default"));
  const auto pre = pre_tokenizer_by_name(name);
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
  out.score_keys.assign(count, score_key(0));
  PRONK_TRY(const files::Array* scores, metadata.numbers_or_null(scores_key));
  if (!scores) return {};
  if (scores->count() != count) return fail(disagreement(scores_key, scores->count(), count));
  for (u32 id = 0; id < count; ++id) {
    const float score = float(scores->number(id));
    if (std::isnan(score)) return fail(std::string(scores_key) + "[" + std::to_string(id) + "] is not a number");
    out.score_keys[id] = score_key(score);
  }
  return {};
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

Status load_ends(const files::Metadata& metadata, Vocabulary& out) {
  const u32 count = out.spellings.count();
  if (out.eos != no_token) out.ends.push_back(out.eos);
  for (const std::string_view key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    PRONK_TRY(const u32 id, special_id(metadata, key, count, no_token));
    if (id != no_token) out.ends.push_back(id);
  }
  for (const std::string_view spelling : end_spellings) {
    const u32 id = out.spellings.find(spelling);
    if (id == no_token) continue;
    out.ends.push_back(id);
    out.types[id] = TokenType::control;
  }
  for (const std::string_view spelling : infill_spellings) {
    if (const u32 id = out.spellings.find(spelling); id != no_token) out.types[id] = TokenType::control;
  }
  std::sort(out.ends.begin(), out.ends.end());
  out.ends.erase(std::unique(out.ends.begin(), out.ends.end()), out.ends.end());
  return {};
}

Status load_special(const files::Metadata& metadata, Vocabulary& out) {
  const u32 count = out.spellings.count();
  const bool sentencepiece = out.kind == Kind::sentencepiece;
  PRONK_TRY(out.bos, special_id(metadata, "tokenizer.ggml.bos_token_id", count, sentencepiece ? 1 : no_token));
  PRONK_TRY(out.eos, special_id(metadata, "tokenizer.ggml.eos_token_id", count, sentencepiece ? 2 : no_token));
  PRONK_TRY(out.unknown, special_id(metadata, "tokenizer.ggml.unknown_token_id", count, sentencepiece ? 0 : no_token));
  out.add_bos = (sentencepiece || out.pre.adds_bos) && out.bos != no_token;
  PRONK_TRY(out.add_bos, metadata.bool_or("tokenizer.ggml.add_bos_token", out.add_bos));
  PRONK_TRY(out.add_eos, metadata.bool_or("tokenizer.ggml.add_eos_token", false));
  PRONK_TRY(const bool space_prefix, metadata.bool_or("tokenizer.ggml.add_space_prefix", sentencepiece));
  out.add_space_prefix = space_prefix && sentencepiece;
  if (out.add_bos && out.bos == no_token) {
    return fail("tokenizer.ggml.add_bos_token is true, but tokenizer.ggml.bos_token_id is not there");
  }
  if (out.add_eos && out.eos == no_token) {
    return fail("tokenizer.ggml.add_eos_token is true, but tokenizer.ggml.eos_token_id is not there");
  }
  PRONK_OK(load_ends(metadata, out));
  for (u32 id = 0; id < count; ++id) {
    const TokenType type = out.types[id];
    const bool special = type == TokenType::control || type == TokenType::user_defined || type == TokenType::unknown;
    if (special && !out.spellings[id].empty()) out.special.push_back(id);
  }
  std::sort(out.special.begin(), out.special.end(),
            [&](u32 a, u32 b) { return std::pair(out.spellings[a], a) < std::pair(out.spellings[b], b); });
  return {};
}

std::string byte_spelling(u8 byte) {
  constexpr char digits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
}

void find_byte_tokens(Vocabulary& out) {
  for (u32 byte = 0; byte < 256; ++byte) {
    std::string spelling;
    if (out.kind == Kind::byte_bpe) {
      append_utf8(byte_to_char(u8(byte)), spelling);
      out.byte_tokens[byte] = out.spellings.find(spelling);
      continue;
    }
    u32 id = out.spellings.find(byte_spelling(u8(byte)));
    if (id == no_token) id = out.spellings.find(std::string(1, char(byte)));
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

}  // namespace

u32 byte_to_char(u8 byte) { return byte_chars.to_char[byte]; }

u32 char_to_byte(u32 code_point) {
  if (code_point >= byte_chars.to_byte.size() || byte_chars.to_byte[code_point] == 0xffff) return no_token;
  return byte_chars.to_byte[code_point];
}

Result<Vocabulary> load_vocabulary(const files::Metadata& metadata) {
  Vocabulary out;
  PRONK_OK(load_kind(metadata, out));
  PRONK_TRY(const files::Array* tokens, metadata.strings_at(tokens_key));
  PRONK_OK(out.spellings.load(*tokens, tokens_key));
  PRONK_OK(load_types(metadata, out));
  if (out.kind == Kind::byte_bpe) {
    PRONK_TRY(const files::Array* merges, metadata.strings_at(merges_key));
    PRONK_OK(out.merges.load(*merges, out.spellings, merges_key));
  } else {
    PRONK_OK(load_scores(metadata, out));
  }
  PRONK_OK(load_special(metadata, out));
  PRONK_OK(load_strip(metadata, out));
  find_byte_tokens(out);
  PRONK_TRY(const std::string_view chat_template, metadata.string_or("tokenizer.chat_template", ""));
  out.chat_template = chat_template;
  return out;
}

}  // namespace pronk::text
