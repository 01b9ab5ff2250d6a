// Buffers whose size follows from the model and the options alone: weights, states, parameters.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "engine/gpu_plan.h"

namespace pronk::engine {

class BufferLayout {
 public:
  // All must outlive it. plan.options.chunk is final.
  BufferLayout(const graph::Graph& graph, const graph::FusedGraph& fused, const gpu::Limits& limits, GpuPlan& plan)
      : graph_(graph), fused_(fused), limits_(limits), plan_(plan) {}

  // Adds the buffers to the plan, the parameters' still without a size. A state that the limits do not allow is an
  // error.
  Status add_buffers();
  // Once all constants are known.
  void finish() { plan_.buffers[parameters_].size = parameter_bytes_; }

  // Bytes that are written once. Equal contents share a range.
  Range constant(std::span<const u8> bytes);
  // What stands in for an optional vector that is not there.
  Range nothing() const { return {0, 0, std::min<u64>(plan_.buffers[0].size, 16)}; }
  const Range& keys(graph::StateId state) const { return plan_.states[u32(state)].first; }
  // Where they lie in the keys, those.
  const Range& values(graph::StateId state) const { return plan_.states[u32(state)].values; }
  const Range& recurrent(graph::StateId state) const { return plan_.states[u32(state)].first; }
  u32 capacity(const graph::KvState& state) const {
    return graph::kv_capacity(state, plan_.options.context, plan_.slack());
  }

 private:
  u32 add_buffer(std::string label, u64 size, u32 usage, gpu::MemoryKind kind);
  using Place = GpuPlan::StatePlace;

  Status add_states();
  Status add_kv(const graph::KvState& state, u32& buffer, Place& place);
  Status add_recurrent(const graph::RecurrentState& state, u32& buffer, Place& place);
  void add_checkpoints();
  Range reserve(u64 bytes, const char* label, u32 usage, u32& buffer);
  void add_step_state();
  Range reserve_parameters(u64 bytes);

  const graph::Graph& graph_;
  const graph::FusedGraph& fused_;
  const gpu::Limits& limits_;
  GpuPlan& plan_;
  u32 parameters_ = 0;  // buffer
  u64 parameter_bytes_ = 0;
  std::map<std::vector<u8>, Range> constants_;  // where each content lies
};

}  // namespace pronk::engine
