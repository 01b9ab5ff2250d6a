// The plain operations of graph.h on rows of floats.
// Real = double is the exact reference, Real = float the usable path.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "base/check.h"
#include "base/types.h"
#include "cpu/lanes.h"
#include "formats/format.h"
#include "graph/graph.h"

namespace pronk::cpu {

// A count for a container: what this machine cannot even count should have failed in the plan.
constexpr std::size_t to_size(u64 count) {
  CHECK(count <= SIZE_MAX);
  return std::size_t(count);
}

// An activation: row t is at data + t · stride.
template <class Real>
struct Rows {
  Real* data = nullptr;
  u32 count = 0;
  u32 width = 0;
  u32 stride = 0;  // at least width; a matmul's input has zeros from width up to the next multiple of eight

  u64 elements() const { return u64(count) * width; }
  Real* operator[](u32 t) const { return data + u64(t) * stride; }
  operator Rows<const Real>() const
    requires(!std::is_const_v<Real>)
  {
    return {data, count, width, stride};
  }
};

// A matrix as in the file: row-major blocks of its format.
struct Matrix {
  const formats::Format* format = nullptr;
  const u8* bytes = nullptr;
  u32 rows = 0;
  u32 cols = 0;

  u64 row_bytes() const { return u64(cols) / format->block_weights * format->block_bytes; }
};

constexpr u32 piece_weights = 1024;  // of a row, decoded at a time: a multiple of every block, small enough for L1
constexpr u32 tile_rows = 4;         // rows of a matrix that share each load of an activation
constexpr u32 lane_unit = 8;         // activations are padded to whole units of this

// Weights `first` to `first + count` of one row; both are whole blocks.
inline void decode_piece(const Matrix& matrix, u32 row, u32 first, u32 count, float* out) {
  const formats::Format& format = *matrix.format;
  const u8* blocks = matrix.bytes + row * matrix.row_bytes() + u64(first) / format.block_weights * format.block_bytes;
  format.decode(blocks, count / format.block_weights, out);
}

// out[i] = matrix[row][i]
template <class Real>
void decode_row(const Matrix& matrix, u32 row, Real* out) {
  float piece[piece_weights];
  for (u32 first = 0; first < matrix.cols; first += piece_weights) {
    const u32 count = std::min(piece_weights, matrix.cols - first);
    decode_piece(matrix, row, first, count, piece);
    for (u32 i = 0; i < count; ++i) out[first + i] = Real(piece[i]);
  }
}

// out[t][r] += Σ_k w[r][k] · x[t][k] for r < rows; length is a multiple of lane_unit.
template <class Real, u32 tokens>
inline void accumulate(const float (*w)[piece_weights], const Real* x, u32 x_stride, u32 length, Real* out,
                       u32 out_stride, u32 rows) {
  constexpr u32 width = tokens == 1 ? 8 : 4;  // eight sums in flight hide the latency of an addition
  using Vector = Lanes<Real, width>;
  Vector sums[tokens][tile_rows] = {};
  for (u32 k = 0; k < length; k += width) {
    Vector weights[tile_rows];
    for (u32 r = 0; r < tile_rows; ++r) load<Real, width>(w[r] + k, weights[r]);
    for (u32 t = 0; t < tokens; ++t) {
      Vector activation;
      load<Real, width>(x + u64(t) * x_stride + k, activation);
      for (u32 r = 0; r < tile_rows; ++r) sums[t][r] += weights[r] * activation;
    }
  }
  for (u32 t = 0; t < tokens; ++t) {
    for (u32 r = 0; r < rows; ++r) out[u64(t) * out_stride + r] += sum<Real, width>(sums[t][r]);
  }
}

// out[t][n] = Σ_k matrix[n][k] · x[t][k] + bias[n] for rows `first_row` to `end_row` of the matrix; bias may be null.
// Each weight is decoded once, whatever x.count. Any cut at multiples of tile_rows gives the same numbers.
template <class Real>
void matmul(const Matrix& matrix, Rows<const Real> x, const Real* bias, Rows<Real> out, u32 first_row, u32 end_row) {
  CHECK(x.width == matrix.cols && out.width == matrix.rows && x.count == out.count);
  CHECK(x.stride % lane_unit == 0 && matrix.cols % matrix.format->block_weights == 0);
  CHECK(first_row <= end_row && end_row <= matrix.rows);
  for (u32 t = 0; t < out.count; ++t) {
    for (u32 n = first_row; n < end_row; ++n) out[t][n] = bias ? bias[n] : Real(0);
  }
  float tile[tile_rows][piece_weights] = {};
  for (u32 n = first_row; n < end_row; n += tile_rows) {
    const u32 rows = std::min(tile_rows, end_row - n);
    for (u32 first = 0; first < matrix.cols; first += piece_weights) {
      const u32 count = std::min(piece_weights, matrix.cols - first);
      const u32 length = u32(align_up(count, lane_unit));
      for (u32 r = 0; r < rows; ++r) {
        decode_piece(matrix, n + r, first, count, tile[r]);
        std::fill(tile[r] + count, tile[r] + length, 0.0f);
      }
      u32 t = 0;
      for (; t + 2 <= x.count; t += 2) {
        accumulate<Real, 2>(tile, x[t] + first, x.stride, length, out[t] + n, out.stride, rows);
      }
      if (t < x.count) accumulate<Real, 1>(tile, x[t] + first, x.stride, length, out[t] + n, out.stride, rows);
    }
  }
}

template <class Real>
void matmul(const Matrix& matrix, Rows<const Real> x, const Real* bias, Rows<Real> out) {
  matmul<Real>(matrix, x, bias, out, 0, matrix.rows);
}

// Each group of `group` columns on its own: out = x / sqrt(mean(x²) + eps) · weight
template <class Real>
void rms_norm(Rows<const Real> x, const Real* weight, u32 group, float eps, Rows<Real> out) {
  CHECK(x.width % group == 0);
  for (u32 t = 0; t < x.count; ++t) {
    for (u32 first = 0; first < x.width; first += group) {
      const Real* from = x[t] + first;
      const Real scale = 1 / std::sqrt(dot(from, from, group) / Real(group) + Real(eps));
      for (u32 i = 0; i < group; ++i) out[t][first + i] = from[i] * scale * weight[i];
    }
  }
}

// cosines, sines: [x.count][heads.rotated / 2] for the position of each row.
template <class Real>
void rope(Rows<const Real> x, const graph::Heads& heads, const Real* cosines, const Real* sines, Rows<Real> out) {
  CHECK(x.width % heads.dim == 0 && heads.rotated <= heads.dim);
  const u32 pairs = heads.rotated / 2;
  const bool adjacent = heads.pairs == graph::RopePairs::adjacent;
  for (u32 t = 0; t < x.count; ++t) {
    std::copy_n(x[t], x.width, out[t]);
    for (Real* head = out[t]; head < out[t] + x.width; head += heads.dim) {
      for (u32 i = 0; i < pairs; ++i) {
        Real& a = head[adjacent ? 2 * i : i];
        Real& b = head[adjacent ? 2 * i + 1 : i + pairs];
        const Real c = cosines[u64(t) * pairs + i], s = sines[u64(t) * pairs + i];
        const Real turned = a * c - b * s;
        b = a * s + b * c;
        a = turned;
      }
    }
  }
}

template <class Real>
void add(Rows<const Real> a, Rows<const Real> b, Rows<Real> out) {
  for (u32 t = 0; t < out.count; ++t) {
    for (u32 i = 0; i < out.width; ++i) out[t][i] = a[t][i] + b[t][i];
  }
}

// silu(gate) · up
template <class Real>
void swiglu(Rows<const Real> gate, Rows<const Real> up, Rows<Real> out) {
  for (u32 t = 0; t < out.count; ++t) {
    for (u32 i = 0; i < out.width; ++i) out[t][i] = gate[t][i] / (1 + std::exp(-gate[t][i])) * up[t][i];
  }
}

}  // namespace pronk::cpu
