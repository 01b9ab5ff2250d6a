// Build: an architecture's view of metadata and tensors.
#include <gtest/gtest.h>

#include "header.h"

namespace pronk::models {
namespace {

TEST(Build, ATensorThatIsTakenTwiceIsOneWeight) {
  test::Header header("llama");
  header.tensor("a.weight", {32, 4});
  header.tensor("b.weight", {32});
  const files::Gguf file = header.parse();
  Build build(file, "llama");
  const WeightId a = build.matrix("a.weight", 4, 32), b = build.vector("b.weight", 32);
  EXPECT_NE(a, b);
  EXPECT_EQ(build.matrix("a.weight", 4, 32), a);
  EXPECT_EQ(build.optional_vector("b.weight", 32), b);
  EXPECT_EQ(build.optional_vector("c.weight", 32), WeightId::none);
  const WeightId rows = build.matrix_rows("a.weight", 1, 3, 4, 32);
  EXPECT_NE(rows, a);
  EXPECT_EQ(build.graph.graph()[rows].first_row, 1u);
  EXPECT_EQ(build.matrix_rows("a.weight", 1, 3, 4, 32), rows);
  EXPECT_TRUE(build.ok());
  build.matrix("a.weight", 32, 4);  // of another shape it is still an error
  const auto result = std::move(build).result();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("'a.weight' has shape"), std::string::npos);
}

std::vector<bool> sliding(const test::Header& header, u32 period) {
  const files::Gguf file = header.parse();
  Build build(file, "llama");
  auto result = build.sliding_layers(period);
  EXPECT_TRUE(build.ok());
  return result;
}

TEST(Build, SlidingLayersByDefaultByPeriodAndByFlags) {
  test::Header none("llama", {.layers = 5}), period("llama", {.layers = 5}), flags("llama", {.layers = 5});
  period.key("attention.sliding_window_pattern", 2);
  const i32 all[] = {0, 1, 1, 0, 1};
  flags.writer.add_i32s("llama.attention.sliding_window_pattern", all);
  EXPECT_EQ(sliding(none, 3), (std::vector<bool>{true, true, false, true, true}));
  EXPECT_EQ(sliding(none, 1), (std::vector<bool>(5, false)));
  EXPECT_EQ(sliding(period, 3), (std::vector<bool>{true, false, true, false, true}));
  EXPECT_EQ(sliding(flags, 3), (std::vector<bool>{false, true, true, false, true}));
}

TEST(Build, AnArrayHasANumberForEachLayer) {
  test::Header header("llama", {.layers = 3});
  const i32 counts[] = {5, 0, 7}, few[] = {5, 6};
  const float numbers[] = {0.5f, -1, 2};
  header.writer.add_i32s("llama.counts", counts);
  header.writer.add_i32s("llama.few", few);
  header.writer.add_f32s("numbers", numbers);
  const files::Gguf file = header.parse();
  Build build(file, "llama");
  EXPECT_EQ(build.each_layer("counts"), (std::vector<u32>{5, 0, 7}));
  EXPECT_EQ(build.each_layer("block_count"), (std::vector<u32>{3, 3, 3}));
  EXPECT_EQ(build.each_layer_or("missing", 9), (std::vector<u32>{9, 9, 9}));
  EXPECT_EQ(build.each_layer_number_at("numbers"), (std::vector<double>{0.5, -1, 2}));
  EXPECT_EQ(build.each_layer_number_or("block_count", 1), (std::vector<double>{3, 3, 3}));
  EXPECT_EQ(build.each_layer_number_or("missing", 1.5), (std::vector<double>{1.5, 1.5, 1.5}));
  EXPECT_TRUE(build.ok());
  Build other(file, "llama");
  other.each_layer_number_or("few", 1);
  build.each_layer("few");
  for (Build* failed : {&build, &other}) {
    const auto result = std::move(*failed).result();
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message.find("'llama.few'"), std::string::npos);
  }
}

TEST(Build, HeadsOutOfRangeAreErrorsThatNameTheKey) {
  const auto error_of = [](const test::HeaderSizes& sizes, u32 rotated) {
    test::Header header("llama", sizes);
    header.key("rope.dimension_count", rotated);
    const files::Gguf file = header.parse();
    Build build(file, "llama");
    read_rotated(build, read_heads(build, 0));
    const auto result = std::move(build).result();
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(error_of({}, 8), "");
  EXPECT_NE(error_of({.heads = 0}, 8).find("head_count"), std::string::npos);
  EXPECT_NE(error_of({.heads = 4, .kv_heads = 3}, 4).find("not a multiple of head_count_kv 3"), std::string::npos);
  EXPECT_NE(error_of({.heads = 8}, 2).find("head size 2"), std::string::npos);
  for (const u32 rotated : {0, 7, 10}) EXPECT_NE(error_of({}, rotated).find("dimension_count"), std::string::npos);
}

}  // namespace
}  // namespace pronk::models
