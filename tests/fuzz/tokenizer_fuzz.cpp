// Arbitrary bytes through small vocabularies of every kind: nothing crashes, what byte-level BPE encodes decodes to the
// same bytes, and the streaming decoder agrees with decoding at once. The same bytes are also a charsmap of Unigram.
#include <cstdlib>
#include <optional>
#include <string>

#include "base/check.h"
#include "files/gguf.h"
#include "files/gguf_writer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

#include "../text/charsmap_fixture.h"

namespace pronk::text {
namespace {

struct Entry {
  std::string token;
  i32 type;
};

std::optional<Tokenizer> try_load(std::string_view model, std::string_view pre, const std::vector<Entry>& entries,
                                  const std::vector<std::string>& merges, std::string_view charsmap = {}) {
  files::GgufWriter writer;
  std::vector<std::string> tokens;
  std::vector<i32> types;
  std::vector<float> scores;
  for (const Entry& entry : entries) {
    tokens.push_back(entry.token);
    types.push_back(entry.type);
    scores.push_back(-float(entry.token.size() * 7 % 11));
  }
  writer.add_string("tokenizer.ggml.model", model);
  writer.add_string("tokenizer.ggml.pre", pre);
  writer.add_strings("tokenizer.ggml.tokens", tokens);
  writer.add_i32s("tokenizer.ggml.token_type", types);
  writer.add_f32s("tokenizer.ggml.scores", scores);
  writer.add_strings("tokenizer.ggml.merges", merges);
  writer.add_u32("tokenizer.ggml.unknown_token_id", 0);
  writer.add_bool("tokenizer.ggml.add_space_prefix", true);
  writer.add_bool("tokenizer.ggml.remove_extra_whitespaces", !charsmap.empty());
  if (!charsmap.empty()) add_bytes(writer, "tokenizer.ggml.precompiled_charsmap", charsmap);
  const std::vector<u8> bytes = writer.header();
  auto prefix = files::parse_gguf(bytes, bytes.size());
  CHECK(prefix && prefix->gguf);
  auto tokenizer = Tokenizer::from_metadata(prefix->gguf->metadata);
  return tokenizer ? std::optional(std::move(*tokenizer)) : std::nullopt;
}

Tokenizer load(std::string_view model, std::string_view pre, const std::vector<Entry>& entries,
               const std::vector<std::string>& merges, std::string_view charsmap = {}) {
  auto tokenizer = try_load(model, pre, entries, merges, charsmap);
  CHECK(tokenizer.has_value());
  return std::move(*tokenizer);
}

Tokenizer byte_bpe(std::string_view pre) {
  std::vector<Entry> entries;
  for (u32 byte = 0; byte < 256; ++byte) {
    std::string spelling;
    append_utf8(byte_to_char(u8(byte)), spelling);
    entries.push_back({spelling, 1});
  }
  std::vector<std::string> merges;
  for (const auto& [left, right] :
       {std::pair{"a", "b"}, {"Ġ", "Ġ"}, {"ab", "a"}, {"ĠĠ", "Ġ"}, {"'", "s"}, {"Ġ", "a"}, {"1", "1"}}) {
    merges.push_back(std::string(left) + " " + right);
    entries.push_back({std::string(left) + right, 1});
  }
  entries.insert(entries.end(), {{"<s>", 3}, {"</s>", 3}, {"<u>", 4}, {"<uu>", 4}, {"  ", 4}});
  return load("gpt2", pre, entries, merges);
}

Tokenizer sentencepiece() {
  std::vector<Entry> entries = {{"<unk>", 2}, {"<s>", 3}, {"</s>", 3}};
  for (u32 byte = 0; byte < 256; ++byte) {
    constexpr char digits[] = "0123456789ABCDEF";
    entries.push_back({{'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'}, 6});
  }
  for (const char* piece : {"▁", "a", "b", "ab", "▁a", "▁▁", "▁▁▁", "bab", "é", "ée", "<s", "s>"}) {
    entries.push_back({piece, 1});
  }
  entries.push_back({"<u>", 4});
  return load("llama", "default", entries, {});
}

const std::vector<Entry> pieces_of_words = {
    {"<unk>", 2}, {"<s>", 3}, {"</s>", 3}, {"▁", 1},  {"▁a", 1},  {"a", 1},  {"ab", 1},  {"b", 1},
    {"▁é", 1},    {"e", 1},   {"x", 5},    {"中", 1}, {"▁中", 1}, {"▁.", 1}, {"<u>", 4}, {std::string(200, 'a'), 1},
};

Tokenizer characters() {
  std::vector<Entry> entries = {{"<unk>", 2}, {"<s>", 3}};
  for (u32 byte = 0; byte < 256; ++byte) {
    constexpr char digits[] = "0123456789ABCDEF";
    entries.push_back({{'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'}, 6});
  }
  for (const char* piece : {"▁", "a", "b", "é", "\n", "\n\n", "▁a", "▁ab", "b▁"}) entries.push_back({piece, 1});
  return load("gemma4", "", entries, {"▁ a", "▁a b", "b ▁"});
}

void check_stream(const Tokenizer& tokenizer, const std::vector<u32>& ids, bool special) {
  StreamDecoder decoder(tokenizer, special, true);
  std::string streamed, whole, bytes = tokenizer.decode(ids, special);
  for (const u32 id : ids) streamed += decoder.push(id);
  streamed += decoder.finish();
  take_utf8(bytes, true, whole);
  CHECK(streamed == whole);
}

void check(const Tokenizer& tokenizer, std::string_view text, bool special) {
  const auto ids = tokenizer.encode(text, {special, Tokenizer::Bos::automatic});
  CHECK(ids.has_value());
  for (const u32 id : *ids) CHECK(id < tokenizer.vocab_size());
  check_stream(tokenizer, *ids, special);
}

void check_bytes(const Tokenizer& tokenizer, std::string_view text, bool special) {
  const auto ids = tokenizer.encode(text, {special, Tokenizer::Bos::off});
  CHECK(ids.has_value());
  CHECK(tokenizer.decode(*ids, true) == text);
  check_stream(tokenizer, *ids, special);
}

// With no user-defined token and no U+2581 in it, SentencePiece with byte tokens loses nothing either.
void check_pieces(const Tokenizer& tokenizer, std::string_view text, bool special) {
  check(tokenizer, text, special);
  const bool plain = text.find("<u>") == text.npos && text.find(space_mark) == text.npos;
  if (plain && !special) CHECK(tokenizer.decode(*tokenizer.encode(text)) == text);
}

void check_charsmap(std::string_view bytes) {
  const auto tokenizer = bytes.empty() ? std::nullopt : try_load("t5", "", pieces_of_words, {}, bytes);
  if (!tokenizer) return;
  check(*tokenizer, "aAb\xc3\xa9 \xff", false);
  check(*tokenizer, bytes, false);
}

std::vector<Tokenizer> one_of_each_pre_tokenizer() {
  std::vector<Tokenizer> out;
  for (const char* pre :
       {"default",        "gpt-2",       "smollm",     "falcon", "llama-bpe", "minicpm5", "qwen2",    "qwen35",
        "laguna",         "bailingmoe",  "seed-coder", "gpt-4o", "tekken",    "youtu",    "kimi-k2",  "deepseek-llm",
        "deepseek-coder", "deepseek-v3", "spark2_5",   "afmoe",  "superbpe",  "viking",   "chameleon"}) {
    out.push_back(byte_bpe(pre));
  }
  return out;
}

}  // namespace
}  // namespace pronk::text

// The first byte picks the vocabulary, the rest is the text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pronk;
  using namespace pronk::text;
  static const std::vector<Tokenizer> byte_level = one_of_each_pre_tokenizer();
  static const Tokenizer pieces = sentencepiece(), over_characters = characters();
  static const Tokenizer word_piece = load("bert", "", pieces_of_words, {});
  static const Tokenizer unigram =
      load("t5", "", pieces_of_words, {}, make_charsmap({{"A", "a"}, {"AB", " "}, {"é", "e"}}));
  static const Tokenizer* const others[] = {&over_characters, &word_piece, &unigram};
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const u64 choice = data[0] % (byte_level.size() + 5);
  for (const bool special : {false, true}) {
    if (choice < byte_level.size()) {
      check_bytes(byte_level[choice], text, special);
    } else if (choice < byte_level.size() + 3) {
      check(*others[choice - byte_level.size()], text, special);
    } else if (choice == byte_level.size() + 3) {
      check_pieces(pieces, text, special);
    } else if (!special) {
      check_charsmap(text);
    }
  }
  return 0;
}
