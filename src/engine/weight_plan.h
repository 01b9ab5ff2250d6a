// Where each weight lies on the device: which tensors share a matrix, how it is cut, in which buffer each part is.
// Pure data, made from the fused graph and the device's limits.
#pragma once

#include <vector>

#include "base/result.h"
#include "gpu/device.h"
#include "graph/graph.h"
#include "graph/memory_plan.h"

namespace pronk::engine {

constexpr u64 binding_alignment = 256;  // of binding offsets, on every device

using graph::Range;

// Rows [first_row, first_row + rows) of a matrix, of every source when sources are paired. Fits one binding.
struct MatrixPart {
  u32 first_row = 0;
  u32 rows = 0;
  Range range;
  formats::GpuExtent extent;
};

// One or more weights of one format and width in one matrix. Joined: the rows of one source follow those of the other.
// Paired (two sources, for gates): each part holds the same rows of the first, then of the second source.
struct Matrix {
  std::vector<graph::WeightId> sources;
  bool paired = false;
  u32 unit = 1;  // rows that are never cut apart: those of an expert
  const formats::Format* format = nullptr;
  u32 rows = 0;  // of the joined matrix, or of each source when paired
  u32 cols = 0;
  std::vector<MatrixPart> parts;

  u32 row_units() const { return u32(ceil_div(cols, 8)); }
};

// Vectors one behind the other as f32, zeros where a source is none; padded to a multiple of eight floats.
struct Vector {
  std::vector<graph::WeightId> sources;
  std::vector<u32> lengths;  // floats of each source
  Range range;
};

struct WeightPlan {
  std::vector<Matrix> matrices;
  std::vector<Vector> vectors;
  std::vector<u64> buffer_bytes;

  const Matrix& matrix(const std::vector<graph::WeightId>& sources, u32 unit = 1) const;  // CHECK: planned
  const Vector& vector(const std::vector<graph::WeightId>& sources) const;
  u64 bytes() const;
};

// Products and embeddings read matrices, all else reads vectors.
// Errors: a row that does not fit a binding, more rows than graph::max_width, and weights that thousands of bindings do
// not hold.
Result<WeightPlan> plan_weights(const graph::Graph& graph, const graph::FusedGraph& fused, const gpu::Limits& limits);

// Rows of one of the matrices that a product chooses from.
u32 expert_rows(const graph::FusedGraph& fused, const graph::MatMul& matmul);
// The weights of a fused product's parts, and their biases (empty when there is none).
std::vector<graph::WeightId> part_weights(const graph::FusedMatMul& matmul);
std::vector<graph::WeightId> part_biases(const graph::FusedMatMul& matmul);

}  // namespace pronk::engine
