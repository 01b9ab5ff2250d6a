#include "fixtures.h"
#include "text/unicode.h"

namespace pronk::text {
namespace {

TEST(StreamDecoder, never_emits_half_a_character) {
  const Tokenizer tokenizer = byte_fixture().tokenizer();
  StreamDecoder decoder(tokenizer);
  const std::string text = "a😀é中";
  std::string all;
  const u64 emits_at[] = {0, 4, 6, 9};  // the bytes that finish a character
  for (u64 i = 0; i < text.size(); ++i) {
    const std::string part = decoder.push(u8(text[i]));
    EXPECT_EQ(!part.empty(), std::find(std::begin(emits_at), std::end(emits_at), i) != std::end(emits_at)) << i;
    all += part;
  }
  EXPECT_EQ(all, text);
  EXPECT_EQ(decoder.finish(), "");
}

TEST(StreamDecoder, replaces_what_is_no_character) {
  const Tokenizer tokenizer = byte_fixture().tokenizer();
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(0xf0), "");
  EXPECT_EQ(decoder.push('a'),
            "\ufffd"
            "a");
  EXPECT_EQ(decoder.push(0xff), "\ufffd");
  EXPECT_EQ(decoder.push(0xe4), "");
  EXPECT_EQ(decoder.push(0xb8), "");
  EXPECT_EQ(decoder.finish(), "\ufffd");
  EXPECT_EQ(decoder.push('b'), "b");
}

TEST(StreamDecoder, leading_space) {
  Fixture fixture = sentencepiece_fixture();
  const u32 hi = fixture.add("▁hi");
  const Tokenizer tokenizer = fixture.tokenizer();
  StreamDecoder first(tokenizer, false, true), later(tokenizer);
  EXPECT_EQ(first.push(1), "");  // <s>
  EXPECT_EQ(first.push(hi), "hi");
  EXPECT_EQ(first.push(hi), " hi");
  EXPECT_EQ(later.push(hi), " hi");
}

// Any bytes, in any token sizes: the joined output equals replacing over the whole.
TEST(StreamDecoder, equals_the_whole_at_once) {
  const Tokenizer tokenizer = byte_fixture().tokenizer();
  Random random{42};
  constexpr std::string_view parts[] = {"a",    "é",    "中",   "😀",   "\xf0\x9f",
                                        "\x98", "\x80", "\xc3", "\xff", "\xed\xa0\x80"};
  for (u32 round = 0; round < 500; ++round) {
    std::string bytes;
    for (u64 i = random.below(10); i-- > 0;) bytes += parts[random.below(std::size(parts))];
    StreamDecoder one_by_one(tokenizer);
    std::string streamed, whole, rest = bytes;
    for (const char byte : bytes) streamed += one_by_one.push(u8(byte));
    streamed += one_by_one.finish();
    take_utf8(rest, true, whole);
    EXPECT_EQ(streamed, whole);
  }
}

}  // namespace
}  // namespace pronk::text
