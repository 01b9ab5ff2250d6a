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

}  // namespace
}  // namespace pronk::engine
