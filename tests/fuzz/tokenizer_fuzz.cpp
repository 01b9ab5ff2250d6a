// Arbitrary bytes through small vocabularies of both kinds: nothing crashes, what byte-level BPE encodes decodes to the
// same bytes, and the streaming decoder agrees with decoding at once.
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "files/gguf.h"
#include "files/gguf_writer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace pronk::text {
namespace {

struct Entry {
  std::string token;
  i32 type;
};

Tokenizer load(std::string_view model, std::string_view pre, const std::vector<Entry>& entries,
               const std::vector<std::string>& merges) {
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
  const std::vector<u8> bytes = writer.header();
  auto prefix = files::parse_gguf(bytes, bytes.size());
  CHECK(prefix && prefix->gguf);
  auto tokenizer = Tokenizer::from_metadata(prefix->gguf->metadata);
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

void check_stream(const Tokenizer& tokenizer, const std::vector<u32>& ids, bool special) {
  StreamDecoder decoder(tokenizer, special, true);
  std::string streamed, whole, bytes = tokenizer.decode(ids, special);
  for (const u32 id : ids) streamed += decoder.push(id);
  streamed += decoder.finish();
  take_utf8(bytes, true, whole);
  CHECK(streamed == whole);
}

}  // namespace
}  // namespace pronk::text

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pronk;
  using namespace pronk::text;
  static const Tokenizer byte_level[] = {byte_bpe("gpt-2"), byte_bpe("smollm"), byte_bpe("llama-bpe"),
                                         byte_bpe("qwen2"), byte_bpe("default")};
  static const Tokenizer pieces = sentencepiece();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool special : {false, true}) {
    for (const Tokenizer& tokenizer : byte_level) {
      const auto ids = tokenizer.encode(text, {special, Tokenizer::Bos::off});
      CHECK(ids.has_value());
      CHECK(tokenizer.decode(*ids, true) == text);
      check_stream(tokenizer, *ids, special);
    }
    const auto ids = pieces.encode(text, {special, Tokenizer::Bos::automatic});
    CHECK(ids.has_value());
    for (const u32 id : *ids) CHECK(id < pieces.vocab_size());
    check_stream(pieces, *ids, special);
    // With no user-defined token and no U+2581 in it, SentencePiece with byte tokens loses nothing either.
    const bool plain = text.find("<u>") == text.npos && text.find("\xe2\x96\x81") == text.npos;
    if (plain && !special) CHECK(pieces.decode(*ids) == text);
  }
  return 0;
}
