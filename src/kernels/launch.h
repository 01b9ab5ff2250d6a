// The one way from an operation to a dispatch, for the plan, test-ops and the self-test alike: which kernel runs with
// which parameters on which operands, and over how many workgroups.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "formats/format.h"
#include "kernels/kernels.h"

namespace pronk::kernels {

// Memory that a kernel binds: an index into a list that the caller keeps. For an optional operand that is not there any
// memory of at least 16 bytes is bound.
enum class Operand : u32 {};

// How a grid grows with the tokens of a step: y or z becomes ceil(tokens · per_token / tile), and with `partial` as
// many more, of tiles that are not full; at most tokens · per_token.
struct Scale {
  enum class Axis : u8 { none, y, z } axis = Axis::none;
  u32 per_token = 1, tile = 1, partial = 0;

  Grid operator()(Grid grid, u32 tokens) const;
};

struct Launch {
  gpu::PipelineDesc pipeline;     // to be folded()
  std::vector<u8> params;         // a struct of params.h, bound first; empty: the first operand is what holds it
  std::vector<Operand> operands;  // bound behind it, in order
  const formats::Format* table = nullptr;  // whose code book is bound last
  Grid grid;                               // for one token
  Scale scale;
};

// Where the columns of a value lie in an operand, in floats: token t's start at base + t · stride. base and stride are
// multiples of four, those of slices and values of eight.
struct Columns {
  u32 base = 0, stride = 0;
  u32 padding = 0;  // of what is written: columns of zeros behind the last
};

enum class MatMulKernel : u8 { matvec, batch, gemm };  // one token; few, or of few rows; many

TunedKernel tuned(MatMulKernel kernel);
gpu::PipelineDesc matmul_pipeline(MatMulKernel kernel, const MatMulKind& kind, u32 candidate);

// A product, and where its numbers lie in the operands. Bases and strides in floats; those of x are multiples of four.
struct MatMul {
  MatMulKind kind;
  formats::GpuExtent weight;
  u32 rows = 0, cols = 0;  // of the weight, or of each of its two when gated
  u32 padding = 0;         // columns of zeros to write behind the last
  u32 x_base = 0, x_stride = 0, y_base = 0, y_stride = 0, bias_base = 0;
  float eps = 0;
  std::optional<u32> candidate = std::nullopt;  // of the kernel; none: the default
};
struct MatMulOperands {
  Operand state, weight, x, norm, bias, y;
  Operand partial = y;  // gemm_partial_bytes() of a GEMM that splits k
};
// The three kernels have the same operands, batch and gemm the same parameters too. A GEMM that splits k is two
// launches, with operands of their own.
std::vector<Launch> lower(const MatMul& matmul, MatMulKernel kernel, const MatMulOperands& operands,
                          const gpu::Limits& limits, const gpu::Features& features);

// Products with matrices of experts. Slot s of a token uses matrix chosen[t, s], or matrix s when nothing is chosen,
// and makes columns [s · rows, (s + 1) · rows) of y. A weight that is cut has one launch for each part, which leaves
// the slots of other matrices alone. Any number of tokens, by a matvec for each slot or by a GEMM for the slots that
// share a matrix.
struct ExpertMatMul {
  const formats::Format* format = nullptr;
  formats::GpuExtent weight;           // of the part
  u32 first_matrix = 0, matrices = 0;  // of the part
  u32 rows = 0, cols = 0;              // of a matrix
  u32 experts = 0;                     // matrices of all parts
  u32 slots = 1;
  u32 tokens = 1;       // most of a step
  bool bias = false;    // one float a row of all matrices, those of other parts included
  bool chosen = false;  // else slots are matrices
  bool own_x = false;   // slot s reads columns [s · cols, (s + 1) · cols) of x, else all read the same; cols % 4 = 0
  Columns x, chosen_at, y;
};
// chosen: for a GEMM what GroupExperts has made, in which a matvec finds a copy of it.
struct ExpertMatMulOperands {
  Operand state, weight, x, chosen, bias, y;
};
// kernel: matvec or gemm.
Launch lower(const ExpertMatMul& matmul, MatMulKernel kernel, const ExpertMatMulOperands& operands,
             const gpu::Limits& limits, const gpu::Features& features);

// The slots of a step in order of the experts that are chosen, in expert_groups_bytes(tokens · slots, experts).
struct GroupExperts {
  u32 experts = 0, slots = 1;
  u32 tokens = 1;  // most of a step
  Columns chosen;
};
struct GroupExpertsOperands {
  Operand state, chosen, groups;
};
Columns chosen_in(const GroupExperts& group);  // where the copy lies in groups
Launch lower(const GroupExperts& group, const GroupExpertsOperands& operands);

// Rows [first_row, first_row + rows) of a table; tokens (or positions) outside it are left alone.
struct Embed {
  const formats::Format* format = nullptr;
  formats::GpuExtent table;
  u32 first_row = 0, rows = 0, cols = 0;
  u32 y_stride = 0;  // floats
  bool by_position = false;
};
struct EmbedOperands {
  Operand state, table, tokens, y;
};
Launch lower(const Embed& embed, const EmbedOperands& operands);

// graph::Norm, or with a residual graph::NormAdd.
struct Norm {
  graph::Norm::Kind kind = graph::Norm::Kind::rms;
  u32 width = 0, group = 0;
  u32 weight_width = 0, bias_width = 0;  // 0: none; else that of a group or of the row
  float eps = 0, scale = 1;
  bool add = false;  // out = residual + norm(x)
  Columns x, residual, out;
};
struct NormOperands {
  Operand state, x, weight, bias, residual, out;
};
Launch lower(const Norm& norm, const NormOperands& operands);

struct Map {
  graph::Function function = graph::Function::add;
  u32 width = 0;
  u32 b_width = 0;  // of a value or a vector; 0: there is none
  std::array<float, 4> p = {};
  Columns a, b, out;  // b.stride 0: the same numbers for each token
};
struct MapOperands {
  Operand state, a, b, out;
};
Launch lower(const Map& map, const MapOperands& operands);

struct PositionScale {
  u32 width = 0;
  float scale = 0;
  u32 interval = 1;
  Columns x, out;
};
struct PositionScaleOperands {
  Operand state, x, out;
};
Launch lower(const PositionScale& scale, const PositionScaleOperands& operands);

// Rope table: see rope_table() of kernels.h.
struct Rope {
  graph::RopePairs pairs = graph::RopePairs::adjacent;
  u32 width = 0, head = 0, first = 0, rotated = 0;
  Columns x, out;
};
struct RopeOperands {
  Operand state, rope_table, x, out;
};
Launch lower(const Rope& rope, const RopeOperands& operands);

// Caches are rings of `capacity` positions: [kv head][position mod capacity][a row of kv_row_bytes(type, width)].
// Keys that are quantized go through the Hadamard transform.
struct StoreKv {
  u32 heads = 0, key = 0, value = 0;  // KV heads; floats a head, multiples of four
  bool values_in_keys = false;        // then there is no v
  graph::KvTypes kv = graph::KvType::f16;
  u32 capacity = 0;
  Columns k, v;
};
struct StoreKvOperands {
  Operand state, k, v, k_cache, v_cache;
};
// Keys and values; one launch of each.
std::vector<Launch> lower(const StoreKv& store, const StoreKvOperands& operands);

struct RotateStore {
  u32 query_heads = 0, kv_heads = 0, head = 0;  // head: floats, of keys and values alike
  graph::RopePairs pairs = graph::RopePairs::adjacent;
  u32 rotated = 0;  // of each head; 0: none, and no table
  graph::KvTypes kv = graph::KvType::f16;
  bool q_norm = false, k_norm = false;
  float eps = 0;
  Columns qkv;
  u32 capacity = 0;
};
struct RotateOperands {
  Operand state, rope_table, q_norm, k_norm, qkv, k_cache, v_cache;
};
Launch lower(const RotateStore& rotate, const RotateOperands& operands);

struct Attention {
  HeadShape heads;
  graph::KvTypes kv = graph::KvType::f16;
  float scale = 0, soft_cap = 0;
  u32 window = 0;
  bool causal = true, sinks = false;
  bool rotated = false;  // q comes from a RotateStore, which has transformed it where keys are quantized
  AttentionTile tile{.threads = 64, .vectors = 1, .splits = 1};  // see attention_tile(); not causal: one split
  Columns q, out;                                                // the same when out takes the place of q
  u32 capacity = 0;                                              // positions of the caches
};
// When out is q it takes its place, for which keys and values must be equally wide. v_cache: that of the keys when it
// holds the values, too.
struct AttentionOperands {
  Operand state, k_cache, v_cache, q, sinks, partial, out;
};
// Attention, and with several splits the combination of their sums, of which `partial` takes attention_partial_bytes().
std::vector<Launch> lower(const Attention& attention, const AttentionOperands& operands);

struct TakeColumns {
  u32 groups = 1, group = 0, first = 0, width = 0;
  Columns x, out;
};
struct TakeColumnsOperands {
  Operand state, x, out;
};
Launch lower(const TakeColumns& take, const TakeColumnsOperands& operands);

struct JoinColumns {
  u32 groups = 1, group_a = 0, group_b = 0;
  Columns a, b, out;
};
struct JoinColumnsOperands {
  Operand state, a, b, out;
};
Launch lower(const JoinColumns& join, const JoinColumnsOperands& operands);

struct Route {
  graph::Route::Gating gating = graph::Route::Gating::softmax;
  u32 experts = 0, used = 0;
  u32 groups = 1, groups_used = 1;
  bool by_best = false, bias = false, expert_scale = false, normalize = false;
  float scale = 1;
  Columns logits, chosen, weights;
};
struct RouteOperands {
  Operand state, logits, bias, expert_scale, chosen, weights;
};
Launch lower(const Route& route, const RouteOperands& operands);

struct WeightedSum {
  u32 width = 0, parts = 0;  // of out; in x
  Columns x, weights, out;
};
struct WeightedSumOperands {
  Operand state, x, weights, out;
};
Launch lower(const WeightedSum& sum, const WeightedSumOperands& operands);

struct KeepLargest {
  u32 width = 0;
  float deviations = 0;
  Columns x, out;
};
struct KeepLargestOperands {
  Operand state, x, out;
};
Launch lower(const KeepLargest& keep, const KeepLargestOperands& operands);

// ---- Recurrences: `memory` holds the graph's RecurrentState and is taken for zeros at position 0.

// weight: f32, [width][kernel].
struct Conv1d {
  u32 width = 0, kernel = 0;
  bool bias = false;
  Columns x, out;
};
struct Conv1dOperands {
  Operand state, x, weight, bias, memory, out;
};
Launch lower(const Conv1d& conv, const Conv1dOperands& operands);

struct DeltaRule {
  u32 key_heads = 0, value_heads = 0, key = 0, value = 0;  // key and value: floats a head
  bool neighbours_share = false;
  Columns q, k, v, decay, beta, out;
};
struct DeltaRuleOperands {
  Operand state, q, k, v, decay, beta, memory, out;
};
Launch lower(const DeltaRule& rule, const DeltaRuleOperands& operands);

// a: f32, [heads] or [heads][state].
struct Scan {
  u32 heads = 0, groups = 1, width = 0, state = 0;
  bool a_of_state = false;  // a is [heads][state]
  Columns x, dt, b, c, out;
};
struct ScanOperands {
  Operand state, x, dt, b, c, a, memory, out;
};
Launch lower(const Scan& scan, const ScanOperands& operands);

// Where logits are changed before a token is sampled. `params` is written before each run: AdjustParams.
struct AdjustOperands {
  Operand params, fed, mask, adjustments;
};
struct SamplingOperands {
  Operand params, state, logits, blocks, candidates, end_tokens, next_token, sampled;
};
// Blocks, filter and pick; greedy sampling does without the filter. `params` is written before each run: SampleParams.
// adjust: the first of them, which reads each logit, changes it too.
std::vector<Launch> lower_sampling(u32 vocab, bool greedy, const SamplingOperands& operands,
                                   const std::optional<AdjustOperands>& adjust = std::nullopt);

}  // namespace pronk::kernels
