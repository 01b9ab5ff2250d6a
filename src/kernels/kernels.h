// Operation → WGSL: a kernel is a prelude generated from its constants and parameter structs, a fragment for the
// weight or cache format, and a skeleton. The label says all that the text depends on, so it serves as pipeline key.
#pragma once

#include <span>
#include <vector>

#include "formats/format.h"
#include "gpu/device.h"
#include "graph/graph.h"
#include "graph/kv_type.h"
#include "graph/sampling.h"
#include "kernels/candidates.h"
#include "kernels/params.h"

namespace pronk::kernels {

struct Grid {
  u32 x = 1, y = 1, z = 1;
};

struct MatMulKind {
  const formats::Format* format = nullptr;
  bool norm = false, bias = false;
  graph::Epilogue epilogue = graph::Epilogue::none;
  graph::Function gate = graph::Function::silu_gate;  // of the epilogues gate and gated: one without parameters
  bool odd_units = false;  // an additive weight's rows are an odd number of eights: lower() sets it
};
bool has_odd_units(const formats::Format& format, u32 cols);
// Of the weight whose output has so many columns: twice as many when gated.
inline u32 weight_rows(const MatMulKind& kind, u32 rows) {
  return kind.epilogue == graph::Epilogue::gated ? 2 * rows : rows;
}

// Bindings of both: 0 MatMulParams, 1 StepState, 2 and 3 the weight (twice), 4 x, 5 norm, 6 bias, 7 y, and behind them
// the format's table when it has one; so for embed. tokens: 1 in decode; batch_tokens serves any number, the grid's z
// counting batches.
gpu::PipelineDesc matvec(const MatMulKind& kind, const MatVecTile& tile, u32 tokens);
constexpr u32 batch_tokens = 4;  // more would double the time a kernel takes to compile
// More tokens go through the GEMM, but where its tile would be half empty: a few workgroups would go through all of k
// alone, which here lanes share.
constexpr u32 batch_limit = 16;
constexpr u32 narrow_rows = 64;
// Of a tile with splits its y is partial sums, gemm_partial_bytes().
gpu::PipelineDesc gemm(const MatMulKind& kind, const GemmTile& tile);
// Makes the product of partial sums. 0 MatMulParams, 1 StepState, 2 partial sums, 3 bias, 4 y. Grid:
// gemm_combine_grid() x tokens.
gpu::PipelineDesc gemm_combine(const MatMulKind& kind, u32 splits);
u32 gemm_combine_grid(u32 padded_rows);
// weight_rows: of both weights when gated.
u64 gemm_partial_bytes(u32 splits, u32 weight_rows, u32 tokens);
// Sums of 512 tiles of 64 x 128: where there are more, no tile need be split for a GPU to be busy. 16 MiB.
constexpr u64 most_partial_sums = 512 * 64 * 128;
// 0 ExpertParams, 1 StepState, 2 and 3 the weight (twice), 4 x, 5 chosen, 6 bias, 7 y, 8 the format's table. Grid:
// matvec_grid() x slots, token by token.
gpu::PipelineDesc expert_matvec(const formats::Format& format, bool chosen, bool bias, const gpu::Features& features);
// The same for many tokens: 5 is what group_experts makes instead of what is chosen. Grid: gemm_grid() x tiles.
gpu::PipelineDesc expert_gemm(const formats::Format& format, bool chosen, bool bias);
// 0 GroupParams, 1 StepState, 2 chosen, 3 groups. Grid: 1.
gpu::PipelineDesc group_experts(u32 experts);
// Most tiles that group_experts makes of so many slots of tokens, and the bytes of all that it makes.
u32 expert_tiles(u32 slots, u32 experts);
u64 expert_groups_bytes(u32 slots, u32 experts);
// Workgroups for `rows` output columns.
Grid matvec_grid(u32 rows, const MatVecTile& tile, u32 tokens, const gpu::Limits& limits, bool gated = false);
Grid gemm_grid(u32 rows, bool gated, const GemmTile& tile);  // its y counts tiles of tokens, its z splits
u32 gemm_step();  // of the default tile: as many tokens cost as much as fewer, a step is left out as a whole

// 0 EmbedParams, 1 StepState, 2 and 3 the table (twice), 4 tokens, 5 y. Grid: embed_grid() x tokens.
gpu::PipelineDesc embed(const formats::Format& format, bool by_position);
u32 embed_grid(u32 row_units);

// Heads of attention. Keys and values may differ in width: multiples of four, at most most_head_width.
struct HeadShape {
  u32 query = 0, kv = 0;        // heads; each KV head serves query / kv query heads
  u32 key = 0, value = 0;       // floats a head
  bool values_in_keys = false;  // values are the first floats of keys, which are kept once
};
constexpr u32 most_head_width = 1024;

// A candidate for these heads and so many tokens, one in decode: vectors, queries that a workgroup serves, are a power
// of two, no more than the candidate's and, but for broadcasts, than there are; splits are not 0.
AttentionTile attention_tile(const HeadShape& heads, u32 tokens, bool decode, u32 candidate);
// The default.
AttentionTile attention_tile(const HeadShape& heads, u32 tokens, bool decode, gpu::Features features);
constexpr u32 most_splits = 64;
u64 attention_partial_bytes(const HeadShape& heads, u32 splits);

// The RoPE table: cos and sin of position · frequency / factor for positions 0 … 63, times magnitude, then for
// multiples of 64 up to the context length. Kernels join one row of each. factors: empty or one a pair.
std::vector<float> rope_table(const graph::RopeTable& rope, std::span<const float> factors, u32 context);
u64 rope_table_bytes(u32 rotated, u32 context);

// What a step reads back instead of a token: after the end, and when a logit is NaN or none is finite.
constexpr u32 no_token = 0xffffffffu, bad_logits = 0xfffffffeu;

// Bytes that sampling works in: a record for every 64 logits, and the candidates with their number.
u64 sample_blocks_bytes(u32 vocab);
u64 sample_candidates_bytes(u32 vocab);
u32 sample_grid(u32 vocab);  // workgroups of blocks and filter

// The settings as the kernels read them. A filter whose setting is NaN or out of range is off.
SampleParams sample_params(const graph::SamplingParams& sampling, u32 vocab, u32 context, u32 end_count);

AdjustParams adjust_params(const graph::SamplingParams& sampling, u32 first_step, bool masked);
u64 mask_bytes(u32 vocab);
// blocks: 0 SampleParams, 1 StepState, 2 logits, 3 blocks, 4 candidates. To adjust the logits, in place: 5
// AdjustParams, 6 the token that was fed, 7 mask, 8 graph::TokenAdjustment of each token. Grid: sample_grid().
gpu::PipelineDesc sample_blocks(bool adjust);
// filter: as blocks that adjust nothing. Needed only when not greedy.
gpu::PipelineDesc sample_filter();
// pick: 0 SampleParams, 1 logits, 2 blocks, 3 candidates, 4 end tokens, 5 StepState, 6 next token, 7 sampled. Grid: 1.
gpu::PipelineDesc sample_pick();

}  // namespace pronk::kernels
