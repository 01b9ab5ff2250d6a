// read_rope_table and Build::rope: what the metadata and the tensors of a file make of RoPE.
#include <gtest/gtest.h>

#include <cmath>

#include "header.h"
#include "models/rope.h"
#include "support/gguf.h"

namespace pronk::models {
namespace {

graph::RopeTable read(test::RawGguf& raw, u32 rotated) {
  const auto bytes = raw.bytes();
  auto parsed = files::parse_gguf(bytes, bytes.size());
  EXPECT_TRUE(parsed.has_value()) << parsed.error().message;
  auto table = read_rope_table(parsed->gguf->metadata, "llama", rotated, 10000, true);
  EXPECT_TRUE(table.has_value()) << table.error().message;
  return *table;
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
  const graph::RopeTable table = read(raw, 64);
  EXPECT_NEAR(table.magnitude, 0.1 * std::log(8.0) + 1, 1e-12);
  ASSERT_EQ(table.frequency.size(), 32u);
  EXPECT_DOUBLE_EQ(table.frequency[0], 1);
  EXPECT_DOUBLE_EQ(table.frequency[31], std::pow(10000.0, -62.0 / 64) / 8);
  const double middle = table.frequency[16] / std::pow(10000.0, -32.0 / 64);
  EXPECT_GT(middle, 1.0 / 8);
  EXPECT_LT(middle, 1);

  raw.key("llama.rope.scaling.yarn_attn_factor", 6).put(0.5f);
  EXPECT_NEAR(read(raw, 64).magnitude, 0.5 * (0.1 * std::log(8.0) + 1), 1e-12);
  raw.key("llama.rope.scaling.yarn_ext_factor", 6).put(0.0f);
  EXPECT_EQ(read(raw, 64).magnitude, 0.5);
}

class BuildRope : public testing::Test {
 protected:
  BuildRope() : header("llama", {.layers = 1, .width = 16, .vocab = 8}) {
    header.writer.add_string("llama.rope.scaling.type", "yarn");
    header.writer.add_f32("llama.rope.scaling.factor", 4);
    header.writer.add_u32("llama.rope.scaling.original_context_length", 64);
    header.writer.add_f32("llama.rope.freq_base_swa", 100);
  }
  graph::RopeTable rope(const Build::RopeOptions& options) {
    const files::Gguf file = header.parse();
    Build build(file, "llama");
    const RopeId id = build.rope(RopePairs::halves, 8, options);
    EXPECT_TRUE(build.ok());
    return build.graph.graph()[id];
  }
  static std::vector<double> plain(double base) {
    return {1, std::pow(base, -0.25), std::pow(base, -0.5), std::pow(base, -0.75)};
  }

  test::Header header;
};

TEST_F(BuildRope, OptionsChooseBaseScalingAndMagnitude) {
  EXPECT_NEAR(rope({}).magnitude, 1 + 0.1 * std::log(4.0), 1e-12);
  EXPECT_NE(rope({}).frequency, plain(10000));
  EXPECT_EQ(rope({.magnitude = false}).magnitude, 1);
  EXPECT_EQ(rope({.magnitude = false}).frequency, rope({}).frequency);
  EXPECT_EQ(rope({.base_key = "rope.freq_base_swa", .scaled = false}).frequency, plain(100));
  EXPECT_EQ(rope({.base_key = "rope.freq_base_swa", .scaled = false}).magnitude, 1);
  EXPECT_EQ(rope({.base = 50, .scaled = false}).frequency, plain(50));
}

// LongRoPE: by the context that is planned for, not by position (arXiv 2402.13753).
TEST_F(BuildRope, FactorsAreShortOrLongByContext) {
  EXPECT_EQ(rope({}).factors, WeightId::none);
  header.tensor("rope_factors_short.weight", {4});
  header.tensor("rope_factors_long.weight", {4});
  header.writer.add_f32("llama.rope.scaling.attn_factor", 1.5f);
  const graph::RopeTable table = rope({});
  EXPECT_NE(table.factors, WeightId::none);
  EXPECT_NE(table.long_factors, table.factors);
  EXPECT_EQ(table.factors_at(64), table.factors);
  EXPECT_EQ(table.factors_at(65), table.long_factors);
  EXPECT_EQ(table.magnitude, 1.5);
  EXPECT_EQ(rope({.factors = false}).factors_at(65), WeightId::none);
}

// The same from keys.
TEST_F(BuildRope, FrequenciesAreShortOrLongByContext) {
  header.writer.add_f32s("llama.rope.scaling.short_factors", std::vector<float>{1, 1, 2, 2});
  header.writer.add_f32s("llama.rope.scaling.long_factors", std::vector<float>{1, 4, 4, 8});
  const graph::RopeTable table = rope({.scaled = false});
  const std::vector<double> whole = plain(10000);
  EXPECT_EQ(table.frequency_at(64), (std::vector<double>{whole[0], whole[1], whole[2] / 2, whole[3] / 2}));
  EXPECT_EQ(table.frequency_at(65), (std::vector<double>{whole[0], whole[1] / 4, whole[2] / 4, whole[3] / 8}));
  EXPECT_EQ(rope({.scaled = false, .factors = false}).frequency_at(65), whole);
}

TEST_F(BuildRope, OneTensorOfFactorsServesAllContexts) {
  header.tensor("rope_freqs.weight", {4});
  const graph::RopeTable table = rope({});
  EXPECT_NE(table.factors, WeightId::none);
  EXPECT_EQ(table.factors_at(1000), table.factors);
}

}  // namespace
}  // namespace pronk::models
