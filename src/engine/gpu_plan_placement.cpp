#include "engine/gpu_plan_placement.h"

#include <algorithm>

#include "base/units.h"

namespace pronk::engine {
namespace {

// The lifetimes of all activations, and which of them one dispatch reads and writes.
struct Lifetimes {
  std::vector<graph::Interval> intervals;
  std::vector<std::pair<u32, u32>> apart;
  u32 dispatches = 0;

  explicit Lifetimes(const std::vector<u64>& bytes) {
    for (u64 each : bytes) intervals.push_back({each, ~0u, 0});
  }

  void add(const DraftDispatch& dispatch, const std::vector<gpu::BindingType>& types) {
    std::vector<u32> reads, writes;
    for (std::size_t b = 0; b < dispatch.bindings.size(); ++b) {
      const auto* activation = std::get_if<Activation>(&dispatch.bindings[b]);
      if (!activation) continue;
      graph::Interval& interval = intervals[u32(*activation)];
      interval.first = std::min(interval.first, dispatches);
      interval.last = dispatches;
      (types[b] == gpu::BindingType::storage_read_write ? writes : reads).push_back(u32(*activation));
    }
    for (u32 read : reads) {
      for (u32 write : writes) {
        CHECK(read != write);
        apart.push_back({read, write});
      }
    }
    ++dispatches;
  }
};

}  // namespace

Status place_activations(const Draft& draft, const gpu::Limits& limits, GpuPlan& plan) {
  Lifetimes lifetimes(draft.activation_bytes);
  // Not draft.adjusted_blocks, which works in place on logits that sampling reads after it.
  for (const auto* program : {&draft.prefill, &draft.decode, &draft.sampling}) {
    for (const DraftDispatch& dispatch : *program)
      lifetimes.add(dispatch, plan.pipelines[dispatch.kernel.pipeline].bindings);
  }
  const graph::MemoryPlan memory = graph::plan_memory(lifetimes.intervals, lifetimes.apart, binding_alignment);
  plan.activations_lower_bound = memory.lower_bound;
  const u32 first = u32(plan.buffers.size());
  for (u64 bytes : memory.buffer_bytes) {
    if (bytes > limits.max_buffer_size)
      return fail("activations need a buffer of " + megabytes(bytes) + ", over this device's limit");
    plan.buffers.push_back(
        {"activations", bytes, gpu::usage_storage | gpu::usage_copy_src, gpu::MemoryKind::activations});
  }

  const auto placed = [&](const Location& location) {
    if (const auto* range = std::get_if<Range>(&location)) return *range;
    Range range = memory.ranges[u32(std::get<Activation>(location))];
    range.buffer += first;
    return range;
  };
  const auto program_of = [&](const std::vector<DraftDispatch>& drafts) {
    std::vector<Dispatch> program;
    for (const DraftDispatch& dispatch : drafts) {
      program.push_back({dispatch.kernel, {}, dispatch.small_batch, dispatch.tokens});
      for (const Location& location : dispatch.bindings) program.back().bindings.push_back(placed(location));
    }
    return program;
  };
  plan.prefill = program_of(draft.prefill);
  plan.decode = program_of(draft.decode);
  plan.adjusted_blocks = program_of(draft.adjusted_blocks);
  plan.sampling = program_of(draft.sampling);
  if (!plan.sampling.empty()) {
    plan.blocks = {plan.sampling.front()};
    plan.sampling.erase(plan.sampling.begin());
    plan.greedy = {plan.sampling.back()};
  }
  if (draft.output) plan.output = placed(*draft.output);
  if (draft.all_outputs) plan.all_outputs = placed(*draft.all_outputs);
  return {};
}

}  // namespace pronk::engine
