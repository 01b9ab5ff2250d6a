#include "files/metadata.h"

#include <gtest/gtest.h>

#include <limits>

#include "files/gguf.h"
#include "support/gguf.h"

namespace pronk::files {
namespace {

using test::RawGguf;

Metadata parse(const std::vector<u8>& bytes) {
  Result<GgufPrefix> parsed = parse_gguf(bytes, bytes.size());
  EXPECT_TRUE(parsed.has_value()) << parsed.error().message;
  return std::move(parsed->gguf->metadata);
}

Metadata one_of_each() {
  RawGguf raw;
  raw.key("u8", 0).put(u8{200}).key("i8", 1).put(i8{-5}).key("u16", 2).put(u16{65535}).key("i16", 3).put(i16{-300});
  raw.key("u32", 4).put(u32{4000000000}).key("i32", 5).put(i32{-7}).key("f32", 6).put(1.5f).key("bool", 7).put(u8{1});
  raw.key("string", 8).put(std::string_view("hello")).key("u64", 10).put(u64{1} << 63);
  raw.key("i64", 11).put(i64{-1} << 40).key("f64", 12).put(0.1).key("empty", 8).put(std::string_view(""));
  return parse(raw.bytes());
}

TEST(Metadata, ReadsEveryScalarType) {
  const Metadata m = one_of_each();
  EXPECT_EQ(m.size(), 13u);
  EXPECT_EQ(*m.u64_at("u8"), 200u);
  EXPECT_EQ(*m.i64_at("i8"), -5);
  EXPECT_EQ(*m.u32_at("u16"), 65535u);
  EXPECT_EQ(*m.i64_at("i16"), -300);
  EXPECT_EQ(*m.u32_at("u32"), 4000000000u);
  EXPECT_EQ(*m.i64_at("i32"), -7);
  EXPECT_EQ(*m.f64_at("f32"), 1.5);
  EXPECT_EQ(*m.f64_at("u8"), 200.0);
  EXPECT_TRUE(*m.bool_at("bool"));
  EXPECT_EQ(*m.string_at("string"), "hello");
  EXPECT_EQ(*m.string_at("empty"), "");
  EXPECT_EQ(*m.u64_at("u64"), u64{1} << 63);
  EXPECT_EQ(*m.i64_at("i64"), i64{-1} << 40);
  EXPECT_EQ(*m.f64_at("f64"), 0.1);
}

TEST(Metadata, KeepsFileOrder) {
  const Metadata m = one_of_each();
  EXPECT_EQ(m.key(0), "u8");
  EXPECT_EQ(m.type(0), ValueType::uint8);
  EXPECT_EQ(m.key(12), "empty");
  EXPECT_EQ(m.type(12), ValueType::string);
}

TEST(Metadata, ErrorsNameKeyAndFoundType) {
  const Metadata m = one_of_each();
  EXPECT_EQ(m.u64_at("nothing").error().message, "metadata key 'nothing' is missing");
  EXPECT_EQ(m.u64_at("string").error().message, "metadata key 'string' is string, not an integer");
  EXPECT_EQ(m.u64_at("i8").error().message, "metadata key 'i8' is -5, not a number from 0 up");
  EXPECT_EQ(m.i64_at("u64").error().message,
            "metadata key 'u64' is 9223372036854775808, not within a signed 64-bit number");
  EXPECT_EQ(m.u32_at("u64").error().message, "metadata key 'u64' is 9223372036854775808, not below 2^32");
  EXPECT_EQ(m.u64_at("f32").error().message, "metadata key 'f32' is f32, not an integer");
  EXPECT_EQ(m.u64_at("bool").error().message, "metadata key 'bool' is bool, not an integer");
  EXPECT_EQ(m.f64_at("bool").error().message, "metadata key 'bool' is bool, not a number");
  EXPECT_EQ(m.bool_at("u8").error().message, "metadata key 'u8' is u8, not bool");
  EXPECT_EQ(m.string_at("u8").error().message, "metadata key 'u8' is u8, not a string");
  EXPECT_EQ(m.array_at("u8").error().message, "metadata key 'u8' is u8, not an array");
  EXPECT_EQ(m.strings_at("string").error().message, "metadata key 'string' is string, not an array of strings");
}

TEST(Metadata, FallbackOnlyForAbsentKeys) {
  const Metadata m = one_of_each();
  EXPECT_EQ(*m.u64_or("nothing", 7), 7u);
  EXPECT_EQ(*m.u64_or("u8", 7), 200u);
  EXPECT_FALSE(m.u64_or("string", 7).has_value());
  EXPECT_EQ(*m.f64_or("nothing", 0.5), 0.5);
  EXPECT_EQ(*m.string_or("nothing", "x"), "x");
  EXPECT_TRUE(*m.bool_or("nothing", true));
  EXPECT_EQ(*m.strings_or_null("nothing"), nullptr);
  EXPECT_FALSE(m.strings_or_null("u8").has_value());
}

TEST(Metadata, ReadsArrays) {
  RawGguf raw;
  raw.key("words", 9).put(u32{8}).put(u64{3});
  for (std::string_view word : {"a", "", "xyz"}) raw.put(word);
  raw.key("ints", 9).put(u32{5}).put(u64{2}).put(i32{-1}).put(i32{9});
  raw.key("bigs", 9).put(u32{10}).put(u64{1}).put(~u64{0});
  raw.key("floats", 9).put(u32{6}).put(u64{2}).put(0.5f).put(-2.f);
  raw.key("flags", 9).put(u32{7}).put(u64{2}).put(u8{1}).put(u8{0});
  raw.key("none", 9).put(u32{8}).put(u64{0});
  const Metadata m = parse(raw.bytes());
  const Array* words = *m.strings_at("words");
  ASSERT_EQ(words->count(), 3u);
  EXPECT_EQ(words->string(0), "a");
  EXPECT_EQ(words->string(1), "");
  EXPECT_EQ(words->string(2), "xyz");
  EXPECT_EQ((*m.integers_at("ints"))->integer(0), -1);
  EXPECT_EQ((*m.numbers_at("ints"))->number(1), 9.0);
  EXPECT_EQ((*m.integers_at("bigs"))->integer(0), std::numeric_limits<i64>::max());
  EXPECT_EQ((*m.numbers_at("floats"))->number(1), -2.0);
  EXPECT_EQ((*m.integers_at("flags"))->integer(0), 1);
  EXPECT_EQ((*m.strings_at("none"))->count(), 0u);
  EXPECT_EQ(m.strings_at("ints").error().message, "metadata key 'ints' is an array of i32, not an array of strings");
  EXPECT_EQ(m.integers_at("floats").error().message,
            "metadata key 'floats' is an array of f32, not an array of integers");
}

TEST(Metadata, ReadsNestedArraysAndSurvivesMoving) {
  RawGguf raw;
  raw.key("nested", 9).put(u32{9}).put(u64{2});
  raw.put(u32{8}).put(u64{2}).put(std::string_view("in")).put(std::string_view("side"));
  raw.put(u32{4}).put(u64{1}).put(u32{42});
  Metadata first = parse(raw.bytes());
  const Metadata m = std::move(first);
  const Array* nested = *m.array_at("nested");
  ASSERT_EQ(nested->type(), ValueType::array);
  ASSERT_EQ(nested->count(), 2u);
  EXPECT_EQ(nested->array(0).string(1), "side");
  EXPECT_EQ(nested->array(1).integer(0), 42);
}

std::string error_of(const RawGguf& raw) {
  const std::vector<u8> bytes = raw.bytes();
  Result<GgufPrefix> parsed = parse_gguf(bytes, bytes.size());
  return parsed ? "no error" : parsed.error().message;
}

TEST(MetadataHostile, NestingIsBounded) {
  auto nested = [](int depth) {
    RawGguf raw;
    raw.key("deep", 9);
    for (int i = 1; i < depth; ++i) raw.put(u32{9}).put(u64{1});
    raw.put(u32{0}).put(u64{1}).put(u8{0});
    return raw;
  };
  EXPECT_EQ(error_of(nested(8)), "no error");
  EXPECT_EQ(error_of(nested(9)), "metadata key 'deep': arrays nested deeper than 8");
}

TEST(MetadataHostile, NestedArraysAreCounted) {
  RawGguf raw;
  raw.key("many", 9).put(u32{9}).put(u64{65537});
  for (int i = 0; i < 65537; ++i) raw.put(u32{0}).put(u64{0});
  EXPECT_EQ(error_of(raw), "metadata key 'many': more than 65536 nested arrays");
}

TEST(MetadataHostile, WrongTypesAndValues) {
  EXPECT_EQ(error_of(RawGguf().key("k", 13).put(u64{0})), "metadata key 'k': unknown value type 13");
  EXPECT_EQ(error_of(RawGguf().key("k", 9).put(u32{99}).put(u64{0})),
            "metadata key 'k': array element: unknown value type 99");
  EXPECT_EQ(error_of(RawGguf().key("k", 7).put(u8{2})), "metadata key 'k': bool is 2");
  EXPECT_EQ(error_of(RawGguf().key("k", 9).put(u32{7}).put(u64{2}).put(u8{0}).put(u8{9})),
            "metadata key 'k': bool 1 is 9");
  EXPECT_EQ(error_of(RawGguf().key("", 0).put(u8{2})), "metadata entry 0: the key is empty");
  EXPECT_EQ(error_of(RawGguf().key(std::string(65536, 'k'), 0).put(u8{2})),
            "metadata entry 0: a key of 65536 bytes is longer than 65535");
  EXPECT_EQ(error_of(RawGguf().key("k", 0).put(u8{2}).key("j", 0).put(u8{2}).key("k", 4).put(u32{2})),
            "metadata key 'k' is there twice");
}

TEST(MetadataHostile, LengthsPastTheEnd) {
  EXPECT_EQ(error_of(RawGguf().key("k", 8).put(u64{1000})),
            "metadata key 'k': a string of 1000 bytes runs past the end of the file (45 bytes)");
  EXPECT_EQ(error_of(RawGguf().key("k", 8).put(~u64{0})),
            "metadata key 'k': a string of 18446744073709551615 bytes runs past the end of the file (45 bytes)");
  EXPECT_EQ(error_of(RawGguf().key("k", 9).put(u32{4}).put(~u64{0} / 2)),
            "metadata key 'k': array count 9223372036854775807 runs past the end of the file (49 bytes)");
  EXPECT_EQ(error_of(RawGguf().key("k", 9).put(u32{8}).put(u64{2}).put(u64{5}).put(u64{0})),
            "metadata key 'k': string 1 runs past the end of the file (65 bytes)");
  RawGguf huge_key;
  huge_key.metadata_count = 1;
  huge_key.put(u64{5000}).put(u64{0});
  EXPECT_EQ(error_of(huge_key), "metadata entry 0: key runs past the end of the file (40 bytes)");
}

TEST(MetadataHostile, MessagesStayOneLine) {
  const std::string message = error_of(RawGguf().key(std::string_view("a\n\0\xff", 4), 77));
  EXPECT_EQ(message, "metadata key 'a\\x0a\\x00\\xff': unknown value type 77");
}

}  // namespace
}  // namespace pronk::files
