// What a token reads and multiplies, against sums made by hand.
#include "graph/run_cost.h"

#include <gtest/gtest.h>

#include "graph/graph.h"

namespace pronk::graph {
namespace {

const formats::Format* format(const char* name) { return formats::find(name); }

// Embedding of 64 columns, then one matrix.
Graph matrices_only() {
  Builder g;
  const auto x = g.embed(g.weight("embd", format("Q8_0"), 100, 64));
  const auto hidden = g.rms_norm(x, g.weight("norm", format("F32"), 1, 64), 1e-5f);
  return g.finish(hidden, g.matmul(hidden, g.weight("output", format("Q4_0"), 100, 64)));
}

TEST(RunCost, OfTheEmbeddingOneRow) {
  const u64 row = 2 * 34, norm = 64 * 4, output = 100 * 2 * 18;
  EXPECT_EQ(run_cost(matrices_only(), KvType::f16, 0, 1, 1), (RunCost{row + norm + output, 0, 100 * 64}));
  EXPECT_EQ(run_cost(matrices_only(), KvType::f16, 7, 5, 5), (RunCost{5 * (row + norm + output), 0, 5 * 100 * 64}));
  EXPECT_EQ(run_cost(matrices_only(), KvType::f16, 0, 5, 0), RunCost{});  // nothing leads to a state
}

// Four query heads of 16 over two KV heads.
Graph attention_of(u32 window, bool causal = true) {
  Builder g;
  const auto matrix = [&](const char* name, u32 rows, u32 cols) { return g.weight(name, format("F16"), rows, cols); };
  const auto x = g.embed(matrix("embd", 10, 64));
  const auto state = g.state(KvState{.heads = 2, .key_width = 16, .value_width = 32, .window = window});
  g.store_kv(state, g.matmul(x, matrix("k", 32, 64)), g.matmul(x, matrix("v", 64, 64)));
  const auto out = g.attention(
      {.state = state, .q = g.matmul(x, matrix("q", 64, 64)), .heads = 4, .window = window, .causal = causal});
  return g.finish(out, g.matmul(out, matrix("output", 10, 128)));
}

TEST(RunCost, KeysAndValuesOfThePositionsSeen) {
  constexpr u64 kv_row = 2 * (16 + 32) * 2, heads = 4 * (16 + 32);
  constexpr u64 products = (32 + 64 + 64) * 64 + 10 * 128, weights = 2 * (64 + products);
  const Graph full = attention_of(0), window = attention_of(8);
  // At position 0 it sees itself, at 20 it sees 21; one row is written.
  EXPECT_EQ(run_cost(full, KvType::f16, 0, 1, 1), (RunCost{weights, kv_row + kv_row, products + heads}));
  EXPECT_EQ(run_cost(full, KvType::f16, 20, 1, 1), (RunCost{weights, 21 * kv_row + kv_row, products + 21 * heads}));
  EXPECT_EQ(run_cost(window, KvType::f16, 20, 1, 1), (RunCost{weights, 8 * kv_row + kv_row, products + 8 * heads}));
  EXPECT_EQ(run_cost(window, KvType::f16, 6, 1, 1), (RunCost{weights, 7 * kv_row + kv_row, products + 7 * heads}));
  EXPECT_EQ(run_cost(full, KvTypes(KvType::f32, KvType::q8), 0, 1, 1).cache_bytes, 2 * 2 * (16u * 4 + 32 + 4));
}

TEST(RunCost, ARunIsTheSumOfItsTokens) {
  for (const u32 window : {0u, 1u, 8u}) {
    const Graph graph = attention_of(window);
    for (const u32 first : {0u, 3u, 8u, 30u}) {
      RunCost sum;
      for (u32 t = 0; t < 12; ++t) {
        const RunCost one = run_cost(graph, KvType::q4, first + t, 1, t >= 9 ? 1 : 0);
        sum.weight_bytes += one.weight_bytes;
        sum.cache_bytes += one.cache_bytes;
        sum.multiply_adds += one.multiply_adds;
      }
      EXPECT_EQ(run_cost(graph, KvType::q4, first, 12, 3), sum) << window << " " << first;
    }
  }
}

TEST(RunCost, WithoutLogitsOnlyWhatLeadsToAState) {
  constexpr u64 products = (32 + 64) * 64;
  EXPECT_EQ(run_cost(attention_of(0), KvType::f16, 9, 1, 0),
            (RunCost{2 * (64 + products), 2 * (16 + 32) * 2, products}));
}

TEST(RunCost, AnEncoderSeesAllOfItsRun) {
  EXPECT_EQ(run_cost(attention_of(0, false), KvType::f16, 0, 5, 5).multiply_adds,
            5 * ((32 + 64 + 64) * 64 + 10 * 128 + 5 * 4 * (16 + 32)));
}

// Two of eight experts.
TEST(RunCost, OfExpertsThoseThatAreChosen) {
  Builder g;
  const auto x = g.embed(g.weight("embd", format("F16"), 10, 32));
  const auto routed = g.route({.logits = g.matmul(x, g.weight("router", format("F32"), 8, 32)), .used = 2});
  const auto up = g.matmul_chosen(x, g.weight("experts", format("Q8_0"), 8 * 48, 32),
                                  g.weight("bias", format("F32"), 1, 8 * 48), routed.chosen, 2, 48);
  const auto out = g.weighted_sum(up, routed.weights);
  const Graph graph = g.finish(out, out);
  EXPECT_EQ(run_cost(graph, KvType::f16, 0, 1, 1),
            (RunCost{32 * 2 + 8 * 32 * 4 + 2 * 48 * 34 + 2 * 48 * 4, 0, 8 * 32 + 2 * 48 * 32}));
}

TEST(RunCost, RecurrencesReadAndWriteAllTheyCarry) {
  Builder g;
  const auto x = g.embed(g.weight("embd", format("F32"), 10, 96));
  const auto mixed = g.conv1d(x, g.weight("conv", format("F32"), 96, 4));
  const auto out = g.delta_rule({.q = g.columns(mixed, 0, 32),
                                 .k = g.columns(mixed, 32, 32),
                                 .v = g.columns(mixed, 64, 32),
                                 .decay = g.columns(x, 0, 2),
                                 .beta = g.columns(x, 8, 2),
                                 .key_heads = 2,
                                 .value_heads = 2});
  const Graph graph = g.finish(out, out);
  EXPECT_EQ(run_cost(graph, KvType::f16, 50, 1, 1),
            (RunCost{96 * 4 + 96 * 4 * 4, 2 * 4 * (96 * 3 + 2 * 16 * 16), 96 * 4 + 4 * 2 * 16 * 16}));
}

}  // namespace
}  // namespace pronk::graph
