// Buffers whose size follows from the model and the options alone: weights, KV cache, state, parameters.
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

  // Adds the buffers to the plan, the parameters' still without a size. A cache that the limits do not allow is an
  // error.
  Status add_buffers();
  // Once all constants are known.
  void finish() { plan_.buffers[parameters_].size = parameter_bytes_; }

  // Bytes that are written once. Equal contents share a range.
  Range constant(std::span<const u8> bytes);
  // What stands in for an optional vector that is not there.
  Range nothing() const { return {0, 0, std::min<u64>(plan_.buffers[0].size, 16)}; }
  const Range& keys(u32 layer) const { return keys_[layer]; }
  const Range& values(u32 layer) const { return values_[layer]; }

 private:
  u32 add_buffer(std::string label, u64 size, u32 usage, gpu::MemoryKind kind);
  Status add_cache();
  void add_state();
  Range reserve_parameters(u64 bytes);

  const graph::Graph& graph_;
  const graph::FusedGraph& fused_;
  const gpu::Limits& limits_;
  GpuPlan& plan_;
  std::vector<Range> keys_, values_;  // of each layer
  u32 parameters_ = 0;                // buffer
  u64 parameter_bytes_ = 0;
  std::map<std::vector<u8>, Range> constants_;  // where each content lies
};

}  // namespace pronk::engine
