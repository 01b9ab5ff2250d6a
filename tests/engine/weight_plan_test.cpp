// Where weights lie: what is too large for 32 bits is refused, not folded into less.
#include "engine/weight_plan.h"

#include <gtest/gtest.h>

#include "support/graph_llama.h"

namespace pronk::engine {
namespace {

TEST(WeightPlan, PairedRowsOver32BitsAreRefused) {
  test::LlamaShape shape;
  shape.layers = 1;
  shape.feed_forward = 3000000000;  // twice that are 1705032704 rows in 32 bits
  const graph::Graph graph = test::llama_graph(shape);
  const auto fused = graph::fuse(graph);
  ASSERT_TRUE(fused) << fused.error().message;
  gpu::Limits limits;  // with room for all of it
  limits.max_storage_buffer_binding_size = limits.max_buffer_size = u64{1} << 40;
  const auto plan = plan_weights(graph, *fused, limits);
  ASSERT_FALSE(plan);
  EXPECT_TRUE(plan.error().message.ends_with(" and those beside it have 3000000000 rows, more than 1073741824"))
      << plan.error().message;
}

// Experts of a tensor that is cut stay whole, and each part says which it holds.
TEST(WeightPlan, ExpertsAreNotCutApart) {
  constexpr u32 experts = 13, rows = 6, cols = 32;  // an even number of them in each part: rows come by fours
  graph::Builder g;
  const auto weight = [&](u32 r, u32 c) { return g.weight("w", formats::find("F16"), r, c); };
  const graph::ValueId x = g.embed(weight(16, cols));
  const auto routed = g.route({.logits = g.matmul(x, weight(experts, cols)), .used = 2});
  const graph::WeightId stacked = weight(experts * rows, cols), bias = weight(1, experts * rows);
  const graph::ValueId y = g.matmul_chosen(x, stacked, bias, routed.chosen, 2, rows);
  const graph::ValueId last = g.weighted_sum(y, routed.weights);
  const graph::Graph graph = g.finish(last, g.matmul(last, weight(16, rows)));
  const auto fused = graph::fuse(graph);
  ASSERT_TRUE(fused);
  gpu::Limits limits;
  limits.max_storage_buffer_binding_size = 5 * rows * cols * 2;
  const auto plan = plan_weights(graph, *fused, limits);
  ASSERT_TRUE(plan) << plan.error().message;
  u32 next = 0;
  for (const MatrixPart& part : plan->matrix({stacked}, rows).parts) {
    EXPECT_EQ(part.first_row, next);
    EXPECT_LE(part.range.size, limits.max_storage_buffer_binding_size);
    next += part.rows;
    EXPECT_TRUE(part.rows % (2 * rows) == 0 || next == experts * rows);
  }
  EXPECT_EQ(next, experts * rows);
  EXPECT_EQ(plan->vector({bias}).lengths, std::vector<u32>{experts * rows});

  limits.max_storage_buffer_binding_size = 2 * rows * cols * 2 - 1;
  const auto refused = plan_weights(graph, *fused, limits);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "tensor 'w' has matrices of 768 bytes, too large for this device's bindings of 767 bytes");
}

}  // namespace
}  // namespace pronk::engine
