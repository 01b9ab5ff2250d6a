// Any bytes as tokenizer.json, and any bytes through its regular expressions: an error or a tokenizer that encodes
// texts to its own ids, whose decoded text comes out the same in a stream.
#include <string>

#include "base/check.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace {

using namespace pronk;
using namespace pronk::text;

void check(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text, {true, Tokenizer::Bos::automatic});
  if (!ids) return;  // it grows too much
  std::string streamed;
  StreamDecoder decoder(tokenizer, true, true);
  for (const u32 id : *ids) {
    CHECK(id < tokenizer.vocab_size());
    streamed += decoder.push(id);
  }
  CHECK(streamed + decoder.finish() == tokenizer.decode(*ids, true));
}

void check_regex(std::string_view regex, std::string_view text) {
  const auto splitter = Splitter::parse(regex);
  if (!splitter) return;
  std::vector<u32> ends;
  splitter->split(text, 0, text.size(), ends);
  u32 before = 0;
  for (const u32 end : ends) {
    CHECK(end > before);
    before = end;
  }
  CHECK(before == text.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const u64 half = std::min<u64>(size, size > 0 ? data[0] : 0);
  check_regex(bytes.substr(0, half), bytes.substr(half));
  const auto tokenizer = Tokenizer::from_json({.tokenizer = std::string(bytes)});
  if (!tokenizer) {
    CHECK(!tokenizer.error().message.empty());
    return 0;
  }
  for (const std::string_view text : {"", "abcab", " a\xc3\xa9  \xff", "Abc 123 \n x"}) check(*tokenizer, text);
  check(*tokenizer, bytes.substr(0, 1000));
  return 0;
}
