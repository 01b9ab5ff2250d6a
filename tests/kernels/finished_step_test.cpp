// Steps are submitted ahead: those after the end of a text must leave everything as it is, the KV cache above all.
#include "engine/op_case.h"
#include "support/kernel_runner.h"

namespace pronk::test {
namespace {

using engine::OpCase;
using engine::OpStep;

class FinishedStep : public KernelTest {
 protected:
  static std::vector<Bytes> after(const OpCase& c, const OpStep& step, u32 finished) {
    std::vector<Bytes> memory = c.memory;
    kernels::StepState state;
    std::memcpy(&state, memory[step.memory[1]].data(), sizeof state);  // bound at 1 by all but sample_pick
    state.finished = finished;
    std::memcpy(memory[step.memory[1]].data(), &state, sizeof state);
    EXPECT_TRUE(runner().run(memory, {{step.kernel, step.memory, step.grid}}));
    return memory;
  }

  // What the step may write; 0.046 everywhere first, which no kernel here leaves alone.
  static void expect_nothing_written(OpCase c) {
    for (const OpStep& step : c.steps) {
      if (step.kernel.label.starts_with("sample_pick")) continue;  // it says that the text has ended
      SCOPED_TRACE(step.kernel.label);
      std::set<u32> written;
      for (std::size_t b = 0; b < step.memory.size(); ++b) {
        if (step.kernel.bindings[b] == gpu::BindingType::storage_read_write) written.insert(step.memory[b]);
      }
      for (const u32 m : written) std::fill(c.memory[m].begin(), c.memory[m].end(), u8(0x3d));
      const auto unfinished = after(c, step, 0), finished = after(c, step, 1);
      bool changed = false;
      for (const u32 m : written) {
        EXPECT_EQ(finished[m], c.memory[m]) << "memory " << m;
        changed |= unfinished[m] != c.memory[m];
      }
      EXPECT_TRUE(changed);  // else this test would show nothing
    }
  }
};

TEST_F(FinishedStep, WritesNothing) {
  const formats::Format& format = formats::table().front();
  const gpu::Features features = runner().device().features();
  const gpu::Limits limits = runner().device().limits();
  expect_nothing_written(engine::embed_case(format, 5, 64, 1));
  expect_nothing_written(engine::matmul_case({.kind = {&format}, .rows = 9, .cols = 64}, limits, features, 1));
  const kernels::HeadShape heads{.query = 4, .kv = 2, .key = 32, .value = 32};
  engine::AttentionSpec spec{
      .heads = heads, .scale = 0.05f, .rotated = 32, .tokens = 7, .decode = true, .prefill_tile = {64, 8, 1}};
  for (const graph::KvTypes kv : {graph::KvTypes(graph::KvType::f16), {graph::KvType::q8, graph::KvType::q4}}) {
    spec.kv = kv;
    spec.fused = true;
    const OpCase c = engine::attention_case(spec, 1);
    EXPECT_EQ(c.steps.size(), 5u);  // rotate_store and attention of the prompt and of a token, combine
    expect_nothing_written(c);
    spec.fused = false;
    expect_nothing_written(engine::attention_case(spec, 1));
  }
  spec.heads = {.query = 4, .kv = 1, .key = 48, .value = 32, .values_in_keys = true};
  spec.kv = graph::KvType::q8;  // with the values transformed back
  expect_nothing_written(engine::attention_case(spec, 1));
  expect_nothing_written(engine::sampling_case(3000, {.temperature = 1, .top_k = 40}, 1));
  expect_nothing_written(engine::adjust_case(3000, true, 1));
}

TEST_F(FinishedStep, WritesNothingInOperationsOnRows) {
  const gpu::Features features = runner().device().features();
  const gpu::Limits limits = runner().device().limits();
  const formats::Format& format = formats::table().front();
  expect_nothing_written(engine::expert_matmul_case(
      {.format = &format, .matrices = 3, .rows = 5, .cols = 8, .slots = 4, .tokens = 2}, limits, features, 1));
  expect_nothing_written(engine::norm_case({.width = 40, .group = 8, .eps = 1e-5f}, 2, 1));
  expect_nothing_written(engine::map_case({.function = graph::Function::add, .width = 12, .b_width = 4}, false, 2, 1));
  expect_nothing_written(engine::position_scale_case({.width = 12, .scale = 0.1f}, 3, 2, 1));
  expect_nothing_written(engine::rope_case({.width = 24, .head = 12, .rotated = 4}, 3, 2, 1));
  expect_nothing_written(engine::take_columns_case({.groups = 2, .group = 9, .first = 2, .width = 3}, 2, 1));
  expect_nothing_written(engine::join_columns_case({.groups = 2, .group_a = 9, .group_b = 2}, 2, 1));
  expect_nothing_written(engine::route_case({.experts = 8, .used = 2}, 2, 1));
  expect_nothing_written(engine::weighted_sum_case({.width = 12, .parts = 3}, 2, 1));
  expect_nothing_written(engine::keep_largest_case({.width = 12, .deviations = 1}, 2, 1));
  expect_nothing_written(engine::conv1d_case({.width = 12, .kernel = 3}, 2, 1));
  expect_nothing_written(engine::delta_rule_case({.key_heads = 1, .value_heads = 2, .key = 8, .value = 4}, 2, 1));
  expect_nothing_written(engine::scan_case({.heads = 2, .width = 4, .state = 8}, 2, 1));
}

}  // namespace
}  // namespace pronk::test
