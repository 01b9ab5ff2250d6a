// The one way from an operation to a dispatch, for the plan, test-ops and the self-test alike: which kernel runs with
// which parameters on which operands, and over how many workgroups.
#pragma once

#include <span>
#include <vector>

#include "formats/format.h"
#include "kernels/kernels.h"

namespace pronk::kernels {

// Memory that a kernel binds: an index into a list that the caller keeps.
enum class Operand : u32 {};

// How a grid grows with the tokens of a step: y or z becomes ceil(tokens · per_token / tile).
struct Scale {
  enum class Axis : u8 { none, y, z } axis = Axis::none;
  u32 per_token = 1, tile = 1;

  Grid operator()(Grid grid, u32 tokens) const;
};

struct Launch {
  gpu::PipelineDesc pipeline;
  std::vector<u8> params;         // a struct of params.h, bound first; empty: the first operand is what holds it
  std::vector<Operand> operands;  // bound behind it, in order
  const formats::Format* table = nullptr;  // whose code book is bound last
  Grid grid;                               // for one token
  Scale scale;
};

enum class MatMulKernel : u8 { matvec, batch, gemm };  // one token; up to batch_limit; any number

gpu::PipelineDesc matmul_pipeline(MatMulKernel kernel, const MatMulKind& kind, const gpu::Features& features);

// A product, and where its numbers lie in the operands. Bases and strides in floats; those of x are multiples of four.
struct MatMul {
  MatMulKind kind;
  formats::GpuExtent weight;
  u32 rows = 0, cols = 0;  // of the weight, or of each of its two with SwiGLU
  u32 padding = 0;         // columns of zeros to write behind the last
  u32 x_base = 0, x_stride = 0, y_base = 0, y_stride = 0, bias_base = 0;
  float eps = 0;
};
struct MatMulOperands {
  Operand state, weight, x, norm, bias, y;
};
// The three kernels have the same parameters and operands.
Launch lower(const MatMul& matmul, MatMulKernel kernel, const MatMulOperands& operands, const gpu::Limits& limits,
             const gpu::Features& features);

// Rows [first_row, first_row + rows) of a table; tokens outside it are left alone.
struct Embed {
  const formats::Format* format = nullptr;
  formats::GpuExtent table;
  u32 first_row = 0, rows = 0, cols = 0;
  u32 y_stride = 0;  // floats
};
struct EmbedOperands {
  Operand state, table, tokens, y;
};
Launch lower(const Embed& embed, const EmbedOperands& operands);

struct RotateStore {
  graph::Heads heads;
  graph::KvTypes kv;
  bool q_norm = false, k_norm = false;
  float eps = 0;
  u32 stride = 0, context = 0;  // of a row of qkv, in floats; positions of the cache
};
struct RotateOperands {
  Operand state, rope_table, q_norm, k_norm, qkv, k_cache, v_cache;
};
Launch lower(const RotateStore& rotate, const RotateOperands& operands);

struct Attention {
  graph::Heads heads;
  graph::KvTypes kv;
  u32 vectors = 1, splits = 1;  // see attention_vectors and attention_splits
  u32 stride = 0, context = 0;  // of a row of q, in floats; positions of the cache
};
struct AttentionOperands {
  Operand state, k_cache, v_cache, q, partial;
};
// Attention, and with several splits the combination of their sums, of which `partial` takes attention_partial_bytes().
std::vector<Launch> lower(const Attention& attention, const AttentionOperands& operands);

struct SamplingOperands {
  Operand params, state, logits, blocks, candidates, end_tokens, next_token, sampled;
};
// Blocks, filter and pick; greedy sampling does without the filter. `params` is written before each run: SampleParams.
std::vector<Launch> lower_sampling(u32 vocab, bool greedy, const SamplingOperands& operands);

}  // namespace pronk::kernels
