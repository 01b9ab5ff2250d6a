// Tiny vocabularies made in code, and what tests of src/text share.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "files/gguf.h"
#include "files/gguf_writer.h"
#include "text/tokenizer.h"

namespace pronk::text {

inline files::Metadata metadata_of(const files::GgufWriter& writer) {
  const std::vector<u8> bytes = writer.header();
  auto prefix = files::parse_gguf(bytes, bytes.size());
  EXPECT_TRUE(prefix && prefix->gguf) << (prefix ? "" : prefix.error().message);
  return prefix && prefix->gguf ? std::move(prefix->gguf->metadata) : files::Metadata{};
}

inline std::string error_of(const files::GgufWriter& writer) {
  const auto tokenizer = Tokenizer::from_metadata(metadata_of(writer));
  return tokenizer ? "" : tokenizer.error().message;
}

// A vocabulary under construction; types and scores follow the tokens.
struct Fixture {
  std::string model = "gpt2", pre = "gpt-2", name;
  std::vector<std::string> tokens, merges;
  std::vector<i32> types;
  std::vector<float> scores;

  u32 add(std::string token, i32 type = 1, float score = 0) {
    tokens.push_back(std::move(token));
    types.push_back(type);
    scores.push_back(score);
    return u32(tokens.size() - 1);
  }

  u32 merge(const std::string& left, const std::string& right) {
    merges.push_back(left + " " + right);
    return add(left + right);
  }

  files::GgufWriter writer() const {
    files::GgufWriter out;
    out.add_string("tokenizer.ggml.model", model);
    out.add_string("tokenizer.ggml.pre", pre);
    if (!name.empty()) out.add_string("general.name", name);
    out.add_strings("tokenizer.ggml.tokens", tokens);
    out.add_i32s("tokenizer.ggml.token_type", types);
    if (model == "llama" || model == "t5") out.add_f32s("tokenizer.ggml.scores", scores);
    if (model == "gpt2" || model == "gemma4") out.add_strings("tokenizer.ggml.merges", merges);
    return out;
  }

  Tokenizer tokenizer() const { return load(writer()); }

  static Tokenizer load(const files::GgufWriter& writer) {
    auto loaded = Tokenizer::from_metadata(metadata_of(writer));
    EXPECT_TRUE(loaded.has_value()) << loaded.error().message;
    if (!loaded) std::abort();
    return std::move(*loaded);
  }
};

// One token a byte, in byte order (id == byte), as byte-level BPE writes them.
inline Fixture byte_fixture() {
  Fixture out;
  u32 next = 0x100;
  for (u32 byte = 0; byte < 256; ++byte) {
    const bool itself = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
    const u32 c = itself ? byte : next++;
    out.add(c < 0x80 ? std::string(1, char(c)) : std::string{char(0xc0 | c >> 6), char(0x80 | (c & 0x3f))});
  }
  return out;
}

// <unk> <s> </s>, then <0x00> … <0xFF> (id == byte + 3), then "▁" (259).
inline Fixture sentencepiece_fixture() {
  Fixture out;
  out.model = "llama";
  out.add("<unk>", 2);
  out.add("<s>", 3);
  out.add("</s>", 3);
  for (u32 byte = 0; byte < 256; ++byte) {
    constexpr char digits[] = "0123456789ABCDEF";
    out.add({'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'}, 6);
  }
  out.add("▁", 1, -1000);
  return out;
}

using Ids = std::vector<u32>;

inline Ids encode(const Tokenizer& tokenizer, std::string_view text, Tokenizer::Encode options = {}) {
  auto ids = tokenizer.encode(text, options);
  EXPECT_TRUE(ids.has_value()) << ids.error().message;
  return ids ? *ids : Ids{};
}

// A seeded generator (SplitMix64, Steele et al. 2014), the same everywhere.
struct Random {
  u64 state;
  u64 next() {
    u64 z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  u64 below(u64 bound) { return next() % bound; }
};

}  // namespace pronk::text
