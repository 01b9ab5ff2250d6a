// One operation on made-up numbers: what is bound, what is dispatched, and the answer in double precision by src/cpu.
// `pronk test-ops`, the self-test at load and the kernels' tests run the same cases. Pure data: no device.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/format.h"
#include "gpu/device.h"
#include "graph/graph.h"
#include "graph/kv_type.h"
#include "graph/sampling.h"
#include "kernels/launch.h"

namespace pronk::engine {

struct OpStep {
  gpu::PipelineDesc kernel;
  std::vector<u32> memory;  // index into OpCase::memory of what is bound at @binding(i)
  kernels::Grid grid;
};

// What one memory holds after the steps, number by number.
struct OpAnswer {
  enum class Type : u8 { f32, f16, u32 };
  enum class Match : u8 { same, near, any };  // bit for bit; within the tolerance; whatever it is
  u32 memory = 0;
  Type type = Type::f32;
  std::vector<double> values;
  std::vector<Match> match;  // of each value
};

struct OpCase {
  std::string op, format, shape, variant;
  std::vector<std::vector<u8>> memory;  // each a multiple of 16 bytes
  std::vector<OpStep> steps;
  std::vector<OpAnswer> answers;
  double tolerance = 0;           // of OpResult::error
  u64 bytes = 0, operations = 0;  // of one run: weights or cache read; multiplications and additions

  std::string name() const { return op + " " + format + " " + shape + (variant.empty() ? "" : " " + variant); }
};

struct OpResult {
  // Of the worst answer: ‖got − answer‖ / ‖answer‖, or an eighth of the worst number's error by their root mean square
  // when that is more; infinite when anything was written that should not have been.
  double error = 0;
  std::string kernels = {};  // labels of those that wrote that answer
};
// memory: the case's after its steps.
OpResult check_answers(const OpCase& op_case, const std::vector<std::vector<u8>>& memory);

// Nearly normal numbers; the same seed gives the same everywhere.
std::vector<float> made_up_floats(u64 count, u32 seed, float spread = 1, float middle = 0);
// Blocks of any format for weights of about that spread: numbers encoded, or where there is no encoder random bits kept
// when the largest weight is of a sensible size. Large counts repeat themselves.
std::vector<u8> made_up_blocks(const formats::Format& format, u64 count, u32 seed, float spread);

using kernels::MatMulKernel;

struct MatMulSpec {
  MatMulKernel kernel = MatMulKernel::matvec;
  kernels::MatMulKind kind;
  u32 rows = 1, cols = 8, tokens = 1;
  u32 padding = 0;                              // columns of zeros behind the last
  std::optional<u32> candidate = std::nullopt;  // of the kernel; none: the default
  std::vector<u32> others = {};                 // more candidates, a step for each, to be timed
  bool answer = true;                           // else it is only there to be timed
};
OpCase matmul_case(const MatMulSpec& spec, const gpu::Limits& limits, const gpu::Features& features, u32 seed);

// Look-ups in the middle part of a table, some of them outside it.
OpCase embed_case(const formats::Format& format, u32 rows, u32 width, u32 seed, bool by_position = false);

struct ExpertMatMulSpec {
  MatMulKernel kernel = MatMulKernel::matvec;  // or gemm
  const formats::Format* format = nullptr;
  u32 matrices = 1, rows = 1, cols = 8, slots = 1, tokens = 1;
  u32 experts =
      0;  // that there are to choose from; only `matrices` of them are chosen and have one; 0: no more than that
  bool bias = false, chosen = true, own_x = false;  // see kernels::ExpertMatMul; not chosen: as many slots as matrices
  bool answer = true;
};
// The weight is bound in two parts.
OpCase expert_matmul_case(const ExpertMatMulSpec& spec, const gpu::Limits& limits, const gpu::Features& features,
                          u32 seed);

// ---- Attention

struct AttentionSpec {
  kernels::HeadShape heads;
  graph::KvTypes kv = graph::KvType::f16;
  float scale = 1;     // keep it well below 1 / √key unless the cache is f32: in a sharp softmax the rounding of one
  float soft_cap = 0;  // key shows
  u32 window = 0;
  bool causal = true, sinks = false;
  // Norms, rotation and store in one operation, and attention in place; else they are operations of their own.
  bool fused = true;
  u32 rotated = 0;  // of each head; only when fused
  graph::RopePairs pairs = graph::RopePairs::halves;
  bool q_norm = false, k_norm = false;
  u32 tokens = 1;       // of a chunk; the first begins at position 0
  u32 chunks = 1;       // with a window the caches are rings that hold it and a chunk
  bool attend = true;   // with attention; a model's last layer only stores what it prefills
  bool decode = false;  // then one more token
  kernels::AttentionTile prefill_tile{64, 1}, decode_tile{64, 1, 4, 8, 64};
};
// Stores the tokens of the chunks, and attends; then the same for one token more, over splits.
OpCase attention_case(const AttentionSpec& spec, u32 seed);
// Rotation and the rows it stores at some position; keys and values of f32 or f16.
OpCase rotate_case(const AttentionSpec& spec, u32 position, u32 seed);
// The rows that StoreKv leaves in a ring of some positions less than it is given; f32 or f16.
OpCase store_kv_case(kernels::StoreKv store, u32 position, u32 tokens, u32 seed);
// Only to be timed: the last tokens of a full cache of `context` positions, by several tiles one after the other. Keys
// and values are equally wide. With splits there are two steps for each tile, else one.
OpCase attention_timing(const kernels::HeadShape& heads, graph::KvTypes kv, u32 context, u32 tokens,
                        std::span<const kernels::AttentionTile> tiles);

// ---- Operations on rows. Where columns lie in memory is the case's own choice.

OpCase norm_case(kernels::Norm norm, u32 tokens, u32 seed);
OpCase map_case(kernels::Map map, bool vector, u32 tokens, u32 seed);  // vector: b is one
OpCase position_scale_case(kernels::PositionScale scale, u32 position, u32 tokens, u32 seed);
OpCase rope_case(kernels::Rope rope, u32 position, u32 tokens, u32 seed);
OpCase take_columns_case(kernels::TakeColumns take, u32 tokens, u32 seed);
OpCase join_columns_case(kernels::JoinColumns join, u32 tokens, u32 seed);
OpCase route_case(kernels::Route route, u32 tokens, u32 seed);
OpCase weighted_sum_case(kernels::WeightedSum sum, u32 tokens, u32 seed);
OpCase keep_largest_case(kernels::KeepLargest keep, u32 tokens, u32 seed);

// ---- Recurrences: `tokens` from position 0 on, then three more.

OpCase conv1d_case(kernels::Conv1d conv, u32 tokens, u32 seed);
OpCase delta_rule_case(kernels::DeltaRule rule, u32 tokens, u32 seed);
OpCase scan_case(kernels::Scan scan, u32 tokens, u32 seed);

// Greedy, with penalties, biases and, when masked, a mask.
OpCase adjust_case(u32 vocab, bool masked, u32 seed);
OpCase sampling_case(u32 vocab, const graph::SamplingParams& sampling, u32 seed);

std::string_view kv_name(graph::KvType type);  // "f16"

}  // namespace pronk::engine
