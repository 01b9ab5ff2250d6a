#include "files/safetensors.h"

#include <gtest/gtest.h>

#include "support/bad_sources.h"
#include "support/safetensors.h"

namespace pronk::files {
namespace {

using test::safetensors;

constexpr std::string_view two =
    R"({"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}} )";

std::string error_of(std::string_view header, u64 data_bytes) {
  const std::vector<u8> bytes = safetensors(header, data_bytes);
  const auto parsed = parse_safetensors(bytes, bytes.size());
  return parsed ? "no error" : parsed.error().message;
}

TEST(Safetensors, ReadsTheTableByOffset) {
  const std::vector<u8> bytes = safetensors(two, 16);
  const auto parsed = parse_safetensors(bytes, bytes.size());
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  const Safetensors& file = *parsed->file;
  EXPECT_EQ(file.data_offset, 8 + two.size());
  EXPECT_EQ(file.end, bytes.size());
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].name, "a");
  EXPECT_EQ(file.tensors[0].dtype->name, "F32");
  EXPECT_EQ(file.tensors[0].dtype->ggml_type, 0u);
  EXPECT_EQ(file.tensors[0].shape, std::vector<u64>{});
  EXPECT_EQ(file.tensors[0].offset, file.data_offset);
  EXPECT_EQ(file.tensors[0].bytes, 4u);
  EXPECT_EQ(file.tensors[1].name, "b");
  EXPECT_EQ(file.tensors[1].shape, (std::vector<u64>{2, 3}));
  EXPECT_EQ(file.tensors[1].offset, file.data_offset + 4);
  EXPECT_EQ(file.tensors[1].bytes, 12u);
}

TEST(Safetensors, AsksForTheHeaderAndNoMore) {
  const std::vector<u8> bytes = safetensors(two, 16);
  for (std::size_t have = 0; have < 8 + two.size(); ++have) {
    for (const std::optional<u64> size : {std::optional<u64>(bytes.size()), std::optional<u64>()}) {
      const auto parsed = parse_safetensors(std::span(bytes).first(have), size);
      ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
      EXPECT_FALSE(parsed->file.has_value());
      EXPECT_EQ(parsed->bytes_needed, have < 8 ? 8 : 8 + two.size());
    }
  }
  const auto parsed = parse_safetensors(std::span(bytes).first(8 + two.size()), std::nullopt);
  EXPECT_TRUE(parsed.has_value() && parsed->file.has_value());
}

TEST(Safetensors, ErrorsSayWhere) {
  EXPECT_EQ(error_of(two, 15), "the tensors end at byte 166, but the file at byte 165");
  EXPECT_EQ(error_of(R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8),
            "tensor 'x': 'data_offsets' spans 8 bytes, but dtype and shape make 12");
  EXPECT_EQ(error_of(R"({"x":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})", 8),
            "tensor 'x': 'dtype' is 'F33': there is none such");
  EXPECT_EQ(error_of(R"({"x":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2),
            "tensor 'x': 'shape' is no whole number of bytes");
  EXPECT_EQ(error_of(R"({"x":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
            "tensor 'x': 'shape' overflows 64 bits");
  EXPECT_EQ(error_of(R"({"x":7})", 0), "tensor 'x': 'x' is a number, not an object");
  EXPECT_EQ(error_of(R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3),
            "tensor 'x': its data starts at byte 1 of the data, where that before it ends at 0");
  EXPECT_EQ(error_of("[]", 0), "the value at byte 0 is an array, not an object");
}

TEST(Safetensors, TakesAndRefusesWhatItShould) {
  const auto sources = test::bad_sources("safetensors/");
  if (sources.empty()) GTEST_SKIP() << "../shared/vectors/sources/bad is not on this machine";
  for (const auto& source : sources) {
    const auto bytes = test::read_file(source.path);
    ASSERT_TRUE(bytes.has_value()) << source.path;
    const auto parsed = parse_safetensors(*bytes, bytes->size());
    const bool whole = parsed && parsed->file;
    test::expect_verdict(source, whole ? "" : parsed ? "ends within its header" : parsed.error().message);
  }
  EXPECT_EQ(sources.size(), 80u);
}

}  // namespace
}  // namespace pronk::files
