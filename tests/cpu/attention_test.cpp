// Attention cut into units, as the executor runs it, against all positions in their order.
#include "cpu/attention.h"

#include <gtest/gtest.h>

#include <random>

namespace pronk::cpu {
namespace {

using Row = std::vector<double>;

constexpr u32 heads = 6, width = 16;
const graph::KvState state{.heads = 2, .key_width = width, .value_width = width};

Row random_row(u64 size, u32 seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> number(-2, 2);
  Row row(size);
  for (double& value : row) value = number(random);
  return row;
}

struct Shape {
  u32 position, tokens, window = 0;
  bool sinks = false;
};

class AttentionUnits : public testing::Test {
 protected:
  void run(const Shape& s) {
    const u32 end = s.position + s.tokens;
    KvCache<double> cache(state, end, graph::KvType::f32);
    const u32 row = state.heads * width;
    const Row keys = random_row(u64(end) * row, 1), values = random_row(u64(end) * row, 2);
    Row key(width);
    cache.store(0, {keys.data(), end, row, row}, {values.data(), end, row, row}, key.data());
    const graph::Attention op{.state = {}, .q = {}, .heads = heads, .scale = 0.5f, .window = s.window};
    const Row q = random_row(u64(s.tokens) * heads * width, 3), sinks = random_row(heads, 4);
    AttentionCall<double> call{.op = op,
                               .cache = cache,
                               .sinks = s.sinks ? sinks.data() : nullptr,
                               .q = {q.data(), s.tokens, heads * width, heads * width},
                               .position = s.position,
                               .run = {0, end},
                               .out = {}};
    AttentionSizes sizes;
    sizes.cover(state, heads, s.tokens);
    AttentionScratch<double> scratch(sizes);
    expected.assign(q.size(), 0);
    call.out = {expected.data(), s.tokens, heads * width, heads * width};
    attention(call, scratch);
    got.assign(q.size(), 0);
    call.out.data = got.data();
    by_units(call, scratch);
  }

  // The last unit of a round first, as the pool does.
  void by_units(const AttentionCall<double>& call, AttentionScratch<double>& scratch) {
    const AttentionCut cut = call.cut();
    begin_attention(call, {0, cut.tokens}, scratch);
    rounds = u32(cut.units() / cut.of_round());
    at_once = cut.at_once;
    for (u64 first = 0; first < cut.units(); first += cut.of_round()) {
      for (u64 i = cut.of_round(); i > 0; --i) attend(call, cut, first + i - 1, 0, scratch);
      end_round(call, cut, scratch);
    }
    end_attention(call, {0, cut.tokens}, scratch);
  }

  void expect_near() const {
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-12) << i;
  }

  Row expected, got;
  u32 rounds = 0, at_once = 0;
};

TEST_F(AttentionUnits, OneSplit) {
  run({.position = 100, .tokens = 1});
  EXPECT_EQ(rounds, 1u);
  EXPECT_EQ(at_once, 1u);
  expect_near();
}

TEST_F(AttentionUnits, SplitsOfOneQueryAreMerged) {
  for (const bool sinks : {false, true}) {
    run({.position = 1500, .tokens = 1, .sinks = sinks});
    EXPECT_EQ(rounds, 1u);
    EXPECT_EQ(at_once, 3u);
    expect_near();
  }
}

TEST_F(AttentionUnits, RoundsOfSplits) {
  run({.position = split_rows * split_positions + 700, .tokens = 1});
  EXPECT_EQ(rounds, 2u);
  EXPECT_EQ(at_once, split_rows);
  expect_near();
}

TEST_F(AttentionUnits, SomeQueriesShareTheSplits) {
  run({.position = 3000, .tokens = 5, .sinks = true});
  EXPECT_EQ(at_once, split_rows / 5);
  EXPECT_EQ(rounds, 2u);
  expect_near();
}

TEST_F(AttentionUnits, TilesOfManyQueries) {
  run({.position = 700, .tokens = 100, .sinks = true});
  EXPECT_EQ(at_once, 1u);
  EXPECT_EQ(rounds, 2u);
  expect_near();
}

// With a window some tiles see nothing of some splits.
TEST_F(AttentionUnits, Windows) {
  for (const u32 tokens : {1u, 4u, 300u}) {
    for (const u32 window : {40u, 600u}) {
      run({.position = 2000, .tokens = tokens, .window = window});
      expect_near();
    }
  }
}

// A number that is none reaches the output, whatever split it lies in.
TEST_F(AttentionUnits, NaNStays) {
  Softmax<double> nothing, nan{.sum = std::nan("")}, some{1, 2};
  const double values[] = {std::nan("")};
  double sum[] = {3};
  merge(nothing, values, 1, some, sum);
  EXPECT_EQ(sum[0], 3);
  EXPECT_EQ(some.sum, 2);
  merge(nan, values, 1, some, sum);
  EXPECT_TRUE(std::isnan(sum[0]) && std::isnan(some.sum));
}

}  // namespace
}  // namespace pronk::cpu
