// read_rotation: what the metadata of a file makes of RoPE's frequencies and magnitude.
#include <gtest/gtest.h>

#include <cmath>

#include "files/gguf.h"
#include "models/model.h"
#include "support/gguf.h"

namespace pronk::models {
namespace {

graph::Rotation read(test::RawGguf& raw, u32 rotated) {
  const auto bytes = raw.bytes();
  auto parsed = files::parse_gguf(bytes, bytes.size());
  EXPECT_TRUE(parsed.has_value()) << parsed.error().message;
  auto rotation = read_rotation(parsed->gguf->metadata, "llama", rotated);
  EXPECT_TRUE(rotation.has_value()) << rotation.error().message;
  return *rotation;
}

test::RawGguf yarn(float factor, u32 original) {
  test::RawGguf raw;
  raw.key("llama.rope.scaling.type", 8).put(std::string_view("yarn"));
  raw.key("llama.rope.scaling.factor", 6).put(factor);
  raw.key("llama.rope.scaling.original_context_length", 4).put(original);
  return raw;
}

TEST(Rotation, PlainAndLinear) {
  test::RawGguf plain;
  plain.key("unused", 4).put(u32{1});
  EXPECT_EQ(read(plain, 8).frequency, (std::vector<double>{1, 0.1, 0.01, std::pow(10000.0, -0.75)}));
  EXPECT_EQ(read(plain, 8).magnitude, 1);
  test::RawGguf linear;
  linear.key("llama.rope.scaling.factor", 6).put(4.0f);
  EXPECT_EQ(read(linear, 4).frequency, (std::vector<double>{0.25, 0.0025}));
  EXPECT_EQ(read(linear, 4).magnitude, 1);
}

// arXiv 2309.00071: fast pairs keep their frequency, slow ones are divided, and both cos and sin are scaled by
// 0.1 ln(factor) + 1 (eq. 22, √(1/t)).
TEST(Rotation, YarnScalesFrequenciesAndMagnitude) {
  test::RawGguf raw = yarn(8, 4096);
  const graph::Rotation rotation = read(raw, 64);
  EXPECT_NEAR(rotation.magnitude, 0.1 * std::log(8.0) + 1, 1e-12);
  ASSERT_EQ(rotation.frequency.size(), 32u);
  EXPECT_DOUBLE_EQ(rotation.frequency[0], 1);
  EXPECT_DOUBLE_EQ(rotation.frequency[31], std::pow(10000.0, -62.0 / 64) / 8);
  const double middle = rotation.frequency[16] / std::pow(10000.0, -32.0 / 64);
  EXPECT_GT(middle, 1.0 / 8);
  EXPECT_LT(middle, 1);

  raw.key("llama.rope.scaling.yarn_attn_factor", 6).put(0.5f);
  EXPECT_NEAR(read(raw, 64).magnitude, 0.5 * (0.1 * std::log(8.0) + 1), 1e-12);
  raw.key("llama.rope.scaling.yarn_ext_factor", 6).put(0.0f);
  EXPECT_EQ(read(raw, 64).magnitude, 0.5);
}

}  // namespace
}  // namespace pronk::models
