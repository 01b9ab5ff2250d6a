// The fused graph as programs of dispatches. Activations have a size here, but no place in memory yet.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "engine/gpu_plan_layout.h"

namespace pronk::engine {

enum class Activation : u32 {};  // index into Draft::activation_bytes
using Location = std::variant<Range, Activation>;

// A Dispatch (gpu_plan.h) before its activations are placed.
struct DraftDispatch {
  Kernel kernel;
  std::vector<Location> bindings;
  std::optional<Kernel> small_batch;
  Tokens tokens = Tokens::any;
};

struct Draft {
  std::vector<DraftDispatch> prefill, decode, sampling;
  std::vector<DraftDispatch> adjusted_blocks;  // in place of the first of sampling
  std::vector<u64> activation_bytes;
  std::optional<Activation> output;       // of the decoded token
  std::optional<Activation> all_outputs;  // of each token of a prefill, when it is to make them
};

// The candidate that a plan takes for a key: as measured, else the default.
u32 planned_candidate(const PlanOptions& options, kernels::TunedKernel kernel, const std::string& key,
                      const gpu::Limits& limits, const gpu::Features& features);
// Whether the memory of its partial sums is worth it, and a device's binding holds them: of a product of so many weight
// rows (of both weights when gated) with so many tokens. One that splits nothing has none.
bool has_room(kernels::TunedKernel kernel, u32 candidate, u32 weight_rows, u32 tokens, const gpu::Limits& limits);
// Of attention, for steps of so many tokens. In decode no more splits than partial_splits().
kernels::AttentionTile planned_attention(const PlanOptions& options, const kernels::HeadShape& heads, u32 tokens,
                                         bool decode, const gpu::Limits& limits, const gpu::Features& features);
// Splits that the memory of their sums has room for, whichever candidate is taken.
u32 partial_splits(const kernels::HeadShape& heads, const gpu::Limits& limits);

// Adds pipelines to the plan, and to the layout the constants that dispatches read.
Draft lower_graph(const graph::Graph& graph, const graph::FusedGraph& fused, const gpu::Limits& limits,
                  const gpu::Features& features, BufferLayout& layout, GpuPlan& plan);

}  // namespace pronk::engine
