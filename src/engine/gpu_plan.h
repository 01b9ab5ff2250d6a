// All that a device will be asked for, decided before anything is: buffers, pipelines, bindings, dispatches. Pure data.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/decode_pace.h"
#include "engine/weight_plan.h"
#include "gpu/device.h"
#include "graph/activations.h"
#include "graph/checkpoints.h"
#include "graph/kv_type.h"
#include "graph/saved_state.h"
#include "kernels/launch.h"
#include "models/model.h"

namespace pronk::engine {

constexpr u32 max_end_tokens = 64;

struct PlanOptions {
  u32 context = 0;  // tokens the KV cache holds, at least 1
  graph::KvTypes kv = graph::KvType::f16;
  u32 chunk = 256;          // most tokens of one prefill submission
  bool all_logits = false;  // prefill also makes the graph's output for every token, for scoring
  bool hidden = false;      // the output is hidden states instead of logits; there is no sampling
  // Measured choices, of activations of 8 bits only where those may be. Of all buffers those of activations alone
  // depend on them: a GEMM that splits k has partial sums.
  std::shared_ptr<const kernels::Tuning> tuning = nullptr;
  graph::Activations activations = graph::Activations::q8;
};

struct Kernel {
  u32 pipeline = 0;      // index into GpuPlan::pipelines
  kernels::Grid grid;    // for one token
  kernels::Scale scale;  // how it grows with the tokens of a step

  kernels::Grid grid_for(u32 tokens) const { return scale(grid, tokens); }
};

// Steps that a dispatch is for: few tokens are at most kernels::batch_limit.
enum class Tokens : u8 { any, few, many, none };

struct Dispatch {
  Kernel kernel;
  std::vector<Range> bindings;
  std::optional<Kernel> small_batch;  // instead, on the same bindings, for few tokens
  Tokens tokens = Tokens::any;

  // Null: this step does without.
  const Kernel* kernel_for(bool few) const {
    if (tokens != Tokens::any && tokens != (few ? Tokens::few : Tokens::many)) return nullptr;
    return few && small_batch ? &*small_batch : &kernel;
  }
};

struct GpuPlan {
  PlanOptions options;
  std::vector<gpu::BufferDesc> buffers;
  std::vector<gpu::PipelineDesc> pipelines;
  WeightPlan weights;  // its buffers are the first of `buffers`

  std::vector<Dispatch> prefill;  // one chunk of the prompt
  std::vector<Dispatch> decode;   // one token up to the graph's output; empty when tokens see later ones
  // Then the first or, in runs with penalties, biases or masks, the second of these, and one of the others. All are
  // empty when the output is hidden states.
  std::vector<Dispatch> blocks, adjusted_blocks;
  std::vector<Dispatch> greedy, sampling;

  // Where the host writes and reads.
  Range prefill_state, prefill_tokens, decode_state, next_token, sampled, sample_params, end_tokens;
  Range adjust_params, adjustments, mask;  // a graph::TokenAdjustment and a bit for each token
  Range output, all_outputs;               // of the decoded token; of those of a chunk, when the options ask for them
  u32 output_width = 0;                    // floats of a token
  u32 output_base = 0, output_stride = 0;  // where they lie in those ranges, in floats
  std::vector<Range> rope_tables;          // of each of the graph's
  struct StatePlace {
    Range first, values;  // keys and values of a KV state; all of a recurrent one
  };
  std::vector<StatePlace> states;  // of each of the graph's
  struct Checkpoint {
    u32 state;
    std::array<u32, graph::Checkpoints::copies> copies;  // buffers of the same size
  };
  std::vector<Checkpoint> checkpoints;                       // of all recurrent states
  std::vector<std::pair<Range, std::vector<u8>>> constants;  // written once after creation
  std::vector<u32> token_readback;                           // buffers of DecodePace::most_tokens
  u32 logits_readback = ~0u;                                 // buffer for a token's logits, then itself
  u32 output_readback = ~0u;                                 // buffer for all_outputs, or ~0
  u64 activations_lower_bound = 0;

  // Positions beyond a window that a KV state has room for: what may have been written and must not be kept.
  // That is a prefill chunk or the decode steps in flight, with what a run behind them goes back by.
  u32 slack() const { return std::max(options.chunk, DecodePace::most + graph::saved_slack); }

  u64 bytes(gpu::MemoryKind kind) const;
};

// Refusals name the limit.
Result<GpuPlan> plan_gpu(const models::Model& model, const PlanOptions& options, const gpu::Limits& limits,
                         const gpu::Features& features);

}  // namespace pronk::engine
