// The plain operations of graph.h on rows of floats.
// Real = double is the exact reference, Real = float the usable path.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "base/types.h"
#include "cpu/lanes.h"
#include "formats/additive.h"
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
  Rows some(u32 first, u32 rows) const { return {data + u64(first) * stride, rows, width, stride}; }
  Rows columns(u32 first, u32 columns) const { return {data + first, count, columns, stride}; }
  operator Rows<const Real>() const
    requires(!std::is_const_v<Real>)
  {
    return {data, count, width, stride};
  }
};

// Whatever lay there before, the columns that a matmul reads beyond the width are zero.
template <class Real>
void clear_padding(Rows<Real> out) {
  for (u32 t = 0; t < out.count; ++t) std::fill(out[t] + out.width, out[t] + out.stride, Real(0));
}

// A matrix as in the file: row-major blocks of its format.
struct Matrix {
  const formats::Format* format = nullptr;
  const u8* bytes = nullptr;
  u32 rows = 0;
  u32 cols = 0;
  formats::AdditiveTables tables = {};  // of an additive format; scales from row 0 on

  u64 row_bytes() const { return u64(cols) / format->block_weights * format->block_bytes; }
  Matrix some_rows(u32 first, u32 count) const {
    CHECK(first <= rows && count <= rows - first);
    formats::AdditiveTables of_rows = tables;
    if (tables.scales) of_rows.scales += first;
    return {format, bytes + first * row_bytes(), count, cols, of_rows};
  }
};

constexpr u32 piece_weights = 1024;  // of a row, decoded at a time: a multiple of every block, small enough for L1
constexpr u32 tile_rows = 4;         // rows of a matrix that share each load of an activation
constexpr u32 lane_unit = 8;         // activations are padded to whole units of this

// Weights `first` to `first + count` of one row; both are whole blocks.
inline void decode_piece(const Matrix& matrix, u32 row, u32 first, u32 count, float* out) {
  const formats::Format& format = *matrix.format;
  const u8* blocks = matrix.bytes + row * matrix.row_bytes() + u64(first) / format.block_weights * format.block_bytes;
  if (matrix.tables.scales) {
    formats::decode_additive(format, blocks, count / format.block_weights, matrix.tables, row, out);
  } else {
    format.decode(blocks, count / format.block_weights, out);
  }
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

// See graph::Norm. weight, bias: null, or so many floats as a group has columns, or as x has.
template <class Real>
void norm(const graph::Norm& op, Rows<const Real> x, std::span<const Real> weight, std::span<const Real> bias,
          Rows<Real> out) {
  CHECK(op.group > 0 && x.width % op.group == 0);
  const auto fits = [&](std::span<const Real> v) { return v.empty() || v.size() == op.group || v.size() == x.width; };
  CHECK(fits(weight) && fits(bias));
  const u32 group = op.group;
  for (u32 t = 0; t < x.count; ++t) {
    for (u32 first = 0; first < x.width; first += group) {
      const Real* from = x[t] + first;
      Real* to = out[t] + first;
      Real mean = 0;
      if (op.kind == graph::Norm::Kind::layer) {
        for (u32 i = 0; i < group; ++i) mean += from[i];
        mean /= Real(group);
      }
      for (u32 i = 0; i < group; ++i) to[i] = from[i] - mean;
      const Real scale = Real(op.scale) / std::sqrt(dot(to, to, group) / Real(group) + Real(op.eps));
      const Real* w = weight.data() + (weight.size() > group ? first : 0);
      const Real* b = bias.data() + (bias.size() > group ? first : 0);
      for (u32 i = 0; i < group; ++i) to[i] = to[i] * scale * (weight.empty() ? 1 : w[i]) + (bias.empty() ? 0 : b[i]);
    }
  }
}

// Angles of the positions of some rows: [rows][pairs].
template <class Real>
struct Angles {
  const Real* cosines = nullptr;
  const Real* sines = nullptr;
};

// Rotates columns [first, first + rotated) of each group of `head` columns.
template <class Real>
void rope(Rows<const Real> x, const graph::RopeTable& table, u32 head, u32 first, Angles<Real> angles, Rows<Real> out) {
  CHECK(x.width % head == 0 && first + table.rotated() <= head);
  const u32 pairs = table.rotated() / 2;
  const bool adjacent = table.pairs == graph::RopePairs::adjacent;
  for (u32 t = 0; t < x.count; ++t) {
    std::copy_n(x[t], x.width, out[t]);
    for (u32 column = first; column < x.width; column += head) {
      for (u32 i = 0; i < pairs; ++i) {
        Real& a = out[t][column + (adjacent ? 2 * i : i)];
        Real& b = out[t][column + (adjacent ? 2 * i + 1 : i + pairs)];
        const Real c = angles.cosines[u64(t) * pairs + i], s = angles.sines[u64(t) * pairs + i];
        const Real turned = a * c - b * s;
        b = a * s + b * c;
        a = turned;
      }
    }
  }
}

template <class Real>
Real sigmoid(Real x) {
  return 1 / (1 + std::exp(-x));
}
template <class Real>
Real softplus(Real x) {
  return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x)));
}
template <class Real>
Real xielu(Real x, Real above, Real below, Real beta, Real eps) {
  return (x > 0 ? above * x * x : below * (std::expm1(x < eps ? x : eps) - x)) + beta * x;
}
template <class Real>
Real gelu(Real x) {
  return x / 2 * std::erfc(-x * Real(0.70710678118654752440));  // 1/√2
}
template <class Real>
Real gelu_tanh(Real x) {
  constexpr Real twice = Real(2 * 0.79788456080286535588);  // 2 √(2/π): 1 + tanh(y) = 2 σ(2y)
  return x * sigmoid(twice * (x + Real(0.044715) * x * x * x));
}

// See graph::Function. of(i, b): what the result is for a[i] = a and b.
template <class Real, class Of>
void map_row(const Real* a, const Real* b, u32 count, Real* out, Of of) {
  for (u32 i = 0; i < count; ++i) out[i] = of(a[i], b[i]);
}

// b has as many numbers as a; functions of one number do not read it.
template <class Real>
void map_row(graph::Function function, const std::array<float, 4>& p, const Real* a, const Real* b, u32 count,
             Real* out) {
  const Real p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3];
  const auto each = [&](auto of) { map_row(a, b, count, out, of); };
  const auto square_above = [](Real x) { return x > 0 ? x * x : x <= 0 ? Real(0) : x; };  // NaN stays
  using enum graph::Function;
  switch (function) {
    case scale:
      return each([=](Real x, Real) { return p0 * x + p1; });
    case clamp:
      return each([=](Real x, Real) { return x < p0 ? p0 : x > p1 ? p1 : x; });
    case soft_cap:
      return each([=](Real x, Real) { return p0 * std::tanh(x / p0); });
    case silu:
      return each([=](Real x, Real) { return x * cpu::sigmoid(x); });
    case graph::Function::gelu:
      return each([=](Real x, Real) { return cpu::gelu(x); });
    case graph::Function::gelu_tanh:
      return each([=](Real x, Real) { return cpu::gelu_tanh(x); });
    case relu_squared:
      return each([=](Real x, Real) { return square_above(x); });
    case graph::Function::sigmoid:
      return each([=](Real x, Real) { return cpu::sigmoid(x); });
    case softplus:
      return each([=](Real x, Real) { return cpu::softplus(x); });
    case exponential:
      return each([=](Real x, Real) { return std::exp(x); });
    case xielu:
      return each([=](Real x, Real) { return cpu::xielu(x, p0, p1, p2, p3); });
    case add:
      return each([=](Real x, Real y) { return x + y; });
    case multiply:
      return each([=](Real x, Real y) { return x * y; });
    case add_scaled:
      return each([=](Real x, Real y) { return x + p0 * y; });
    case silu_gate:
      return each([=](Real x, Real y) { return x * cpu::sigmoid(x) * y; });
    case gelu_gate:
      return each([=](Real x, Real y) { return cpu::gelu(x) * y; });
    case gelu_tanh_gate:
      return each([=](Real x, Real y) { return cpu::gelu_tanh(x) * y; });
    case relu_squared_gate:
      return each([=](Real x, Real y) { return square_above(x) * y; });
    case sigmoid_gate:
      return each([=](Real x, Real y) { return x * cpu::sigmoid(y); });
    case clamped_gate:
      return each([=](Real x, Real y) {
        const Real gate = x > p1 ? p1 : x, up = y < -p1 ? -p1 : y > p1 ? p1 : y;
        return gate * cpu::sigmoid(p0 * gate) * (up + 1);
      });
    case learned_xielu: {
      const Real above = cpu::softplus(b[1]), below = b[2] + cpu::softplus(b[0]), beta = b[2], eps = b[3];
      return each([=](Real x, Real) { return cpu::xielu(x, above, below, beta, eps); });
    }
  }
}

// b: of stride 0 where all rows of a meet the same numbers, as wide as a or a part of it, or null.
template <class Real>
void map(const graph::Map& op, Rows<const Real> a, Rows<const Real> b, Rows<Real> out) {
  const bool by_columns = b.data && op.function != graph::Function::learned_xielu;
  CHECK((b.data != nullptr) == takes_two(op.function) && (!by_columns || a.width % b.width == 0));
  const u32 shared = by_columns ? a.width / b.width : 1;  // neighbouring columns that have a number of b
  constexpr u32 most = 256;
  Real repeated[most];
  for (u32 t = 0; t < a.count; ++t) {
    if (shared == 1) {
      map_row(op.function, op.p, a[t], b.data ? b[t] : a[t], a.width, out[t]);
      continue;
    }
    for (u32 first = 0; first < a.width; first += most) {
      const u32 count = std::min(most, a.width - first);
      for (u32 i = 0; i < count; ++i) repeated[i] = b[t][(first + i) / shared];
      map_row<Real>(op.function, op.p, a[t] + first, repeated, count, out[t] + first);
    }
  }
}

// position: of the first row.
template <class Real>
void position_scale(const graph::PositionScale& op, Rows<const Real> x, u32 position, Rows<Real> out) {
  for (u32 t = 0; t < x.count; ++t) {
    const Real factor = Real(1 + double(op.scale) * std::log(1.0 + double((position + t) / op.interval)));
    for (u32 i = 0; i < x.width; ++i) out[t][i] = x[t][i] * factor;
  }
}

template <class Real>
void take_columns(const graph::TakeColumns& op, Rows<const Real> x, Rows<Real> out) {
  CHECK(x.width % op.group == 0 && out.width == x.width / op.group * op.width && op.first + op.width <= op.group);
  for (u32 t = 0; t < x.count; ++t) {
    Real* to = out[t];
    for (u32 first = op.first; first < x.width; first += op.group, to += op.width) {
      std::copy_n(x[t] + first, op.width, to);
    }
  }
}

template <class Real>
void join_columns(const graph::JoinColumns& op, Rows<const Real> a, Rows<const Real> b, Rows<Real> out) {
  CHECK(a.width % op.group_a == 0 && out.width == a.width + b.width);
  CHECK(b.width == a.width / op.group_a * op.group_b);
  for (u32 t = 0; t < out.count; ++t) {
    Real* to = out[t];
    for (u32 group = 0; group < a.width / op.group_a; ++group) {
      to = std::copy_n(a[t] + group * op.group_a, op.group_a, to);
      to = std::copy_n(b[t] + group * op.group_b, op.group_b, to);
    }
  }
}

// The largest of values that is not taken, the first of equals. Where nothing is larger than another (NaN), some.
template <class Real, class Taken>
u32 largest_left(std::span<const Real> values, const Taken& taken) {
  constexpr u32 none = ~0u;
  u32 best = none;
  for (u32 i = 0; i < values.size(); ++i) {
    if (!taken(i) && (best == none || values[i] > values[best])) best = i;
  }
  CHECK(best != none);
  return best;
}

// How good the experts of a group are together: its best score, or its two best.
template <class Real>
Real group_score(std::span<const Real> scores, bool by_best) {
  const u32 best = largest_left<Real>(scores, [](u32) { return false; });
  if (by_best || scores.size() == 1) return scores[best];
  return scores[best] + scores[largest_left<Real>(scores, [&](u32 i) { return i == best; })];
}

// What routing needs while it looks at one token.
template <class Real>
struct RouteScratch {
  std::vector<Real> scores, ranks;  // of experts: what they count for, what they are chosen by
  std::vector<Real> groups;         // the ranks of groups
  std::vector<u8> taken, closed;    // experts, groups

  RouteScratch(u32 experts, u32 of_groups)
      : scores(experts), ranks(experts), groups(of_groups), taken(experts), closed(of_groups) {}
  static u64 bytes(u32 experts, u32 groups) { return (2 * u64(experts) + groups) * sizeof(Real) + experts + groups; }
  u64 bytes() const { return bytes(u32(scores.size()), u32(groups.size())); }
};

// out[i] = e^x[i] / Σ e^x
template <class Real>
void softmax(std::span<const Real> x, Real* out) {
  const Real largest = *std::max_element(x.begin(), x.end());
  Real sum = 0;
  for (u32 i = 0; i < x.size(); ++i) sum += out[i] = std::exp(x[i] - largest);
  for (u32 i = 0; i < x.size(); ++i) out[i] /= sum;
}

// Closes all groups but the best.
template <class Real>
void choose_groups(const graph::Route& op, std::span<const Real> ranks, RouteScratch<Real>& scratch) {
  const u32 size = u32(ranks.size()) / op.groups;
  std::fill_n(scratch.closed.begin(), op.groups, u8(op.groups_used < op.groups));
  if (op.groups_used == op.groups) return;
  for (u32 g = 0; g < op.groups; ++g) scratch.groups[g] = group_score(ranks.subspan(g * size, size), op.by_best);
  const std::span<const Real> groups(scratch.groups.data(), op.groups);
  for (u32 n = 0; n < op.groups_used; ++n) {
    scratch.closed[largest_left(groups, [&](u32 g) { return !scratch.closed[g]; })] = 0;
  }
}

// One token's.
template <class Real>
void route_token(const graph::Route& op, std::span<const Real> logits, const Real* bias, const Real* expert_scale,
                 RouteScratch<Real>& scratch, Real* chosen, Real* weights) {
  using Gating = graph::Route::Gating;
  const u32 experts = u32(logits.size());
  Real* scores = scratch.scores.data();
  if (op.gating == Gating::softmax) softmax(logits, scores);
  if (op.gating == Gating::sigmoid) std::transform(logits.begin(), logits.end(), scores, sigmoid<Real>);
  if (op.gating == Gating::softmax_after) std::copy(logits.begin(), logits.end(), scores);
  for (u32 e = 0; e < experts; ++e) scratch.ranks[e] = scores[e] + (bias ? bias[e] : 0);
  const std::span<const Real> ranks(scratch.ranks.data(), experts);
  choose_groups(op, ranks, scratch);
  for (u32 e = 0; e < experts; ++e) scratch.taken[e] = scratch.closed[e / (experts / op.groups)];
  for (u32 s = 0; s < op.used; ++s) {
    const u32 best = largest_left(ranks, [&](u32 e) { return scratch.taken[e] != 0; });
    scratch.taken[best] = 1;
    chosen[s] = Real(best);
    weights[s] = scores[best];
  }
  if (op.gating == Gating::softmax_after) softmax(std::span<const Real>(weights, op.used), weights);
  Real divisor = 1;
  if (op.normalize) {
    divisor = 0;
    for (u32 s = 0; s < op.used; ++s) divisor += weights[s];
    if (divisor < Real(0x1p-14)) divisor = Real(0x1p-14);  // as llama.cpp: the smallest normal f16
  }
  for (u32 s = 0; s < op.used; ++s) {
    weights[s] *= Real(op.scale) / divisor * (expert_scale ? expert_scale[u32(chosen[s])] : 1);
  }
}

template <class Real>
void route(const graph::Route& op, Rows<const Real> logits, const Real* bias, const Real* expert_scale,
           RouteScratch<Real>& scratch, Rows<Real> chosen, Rows<Real> weights) {
  CHECK(chosen.width == op.used && weights.width == op.used && logits.width % op.groups == 0);
  CHECK(op.groups_used <= op.groups && op.used <= logits.width / op.groups * op.groups_used);
  for (u32 t = 0; t < logits.count; ++t) {
    route_token<Real>(op, {logits[t], logits.width}, bias, expert_scale, scratch, chosen[t], weights[t]);
  }
}

template <class Real>
void weighted_sum(Rows<const Real> x, Rows<const Real> weights, Rows<Real> out) {
  CHECK(x.width == out.width * weights.width);
  for (u32 t = 0; t < out.count; ++t) {
    std::fill_n(out[t], out.width, Real(0));
    for (u32 s = 0; s < weights.width; ++s) {
      const Real* part = x[t] + u64(s) * out.width;
      for (u32 i = 0; i < out.width; ++i) out[t][i] += weights[t][s] * part[i];
    }
  }
}

template <class Real>
void keep_largest(const graph::KeepLargest& op, Rows<const Real> x, Rows<Real> out) {
  for (u32 t = 0; t < x.count; ++t) {
    Real mean = 0, squares = 0;
    for (u32 i = 0; i < x.width; ++i) mean += x[t][i];
    mean /= Real(x.width);
    for (u32 i = 0; i < x.width; ++i) squares += (x[t][i] - mean) * (x[t][i] - mean);
    const Real least = mean + Real(op.deviations) * std::sqrt(squares / Real(x.width));
    for (u32 i = 0; i < x.width; ++i) out[t][i] = x[t][i] > least ? x[t][i] - least : x[t][i] <= least ? 0 : x[t][i];
  }
}

// weight: [columns][kernel]; state: [kernel − 1] rows of as many columns, the oldest first.
template <class Real>
void conv1d(Rows<const Real> x, std::span<const Real> weight, const Real* bias, Real* state, u32 state_stride,
            Rows<Real> out) {
  CHECK(x.width == out.width && weight.size() % x.width == 0);
  const u32 kernel = u32(weight.size() / x.width), kept = kernel - 1;
  const auto row = [&](u32 t, u32 back) {
    return t < back ? state + u64(kept + t - back) * state_stride : x[t - back];
  };
  for (u32 t = 0; t < x.count; ++t) {
    for (u32 c = 0; c < x.width; ++c) out[t][c] = bias ? bias[c] : 0;
    for (u32 j = 0; j < kernel; ++j) {
      const Real* from = row(t, kept - j);
      for (u32 c = 0; c < x.width; ++c) out[t][c] += weight[u64(c) * kernel + j] * from[c];
    }
  }
  for (u32 j = 0; j < kept; ++j) {  // row j of the new state is never before row j of the old
    std::copy_n(row(x.count, kept - j), x.width, state + u64(j) * state_stride);
  }
}

// One value head. state: [key width][value width]; sum: scratch of a value's width.
template <class Real>
void delta_rule_head(Rows<const Real> q, Rows<const Real> k, Rows<const Real> v, Rows<const Real> decay,
                     Rows<const Real> beta, Real* state, Real* sum, Rows<Real> out) {
  const u32 keys = k.width, values = v.width;
  for (u32 t = 0; t < v.count; ++t) {
    const Real keep = std::exp(decay[t][0]);
    std::fill_n(sum, values, Real(0));
    for (u32 i = 0; i < keys; ++i) {
      Real* s = state + u64(i) * values;
      for (u32 j = 0; j < values; ++j) {
        s[j] *= keep;
        sum[j] += s[j] * k[t][i];
      }
    }
    for (u32 j = 0; j < values; ++j) sum[j] = beta[t][0] * (v[t][j] - sum[j]);
    std::fill_n(out[t], values, Real(0));
    for (u32 i = 0; i < keys; ++i) {
      Real* s = state + u64(i) * values;
      for (u32 j = 0; j < values; ++j) {
        s[j] += k[t][i] * sum[j];
        out[t][j] += s[j] * q[t][i];
      }
    }
  }
}

// One head. state: [width][size of b]; a: one number, or one for each of b.
template <class Real>
void scan_head(Rows<const Real> x, Rows<const Real> dt, Rows<const Real> b, Rows<const Real> c, std::span<const Real> a,
               Real* state, Rows<Real> out) {
  for (u32 t = 0; t < x.count; ++t) {
    const Real step = dt[t][0];
    const Real keep = std::exp(step * a[0]);
    for (u32 i = 0; i < x.width; ++i) {
      Real* s = state + u64(i) * b.width;
      const Real add = step * x[t][i];
      for (u32 n = 0; n < b.width; ++n) s[n] = (a.size() == 1 ? keep : std::exp(step * a[n])) * s[n] + add * b[t][n];
      out[t][i] = dot<Real>(s, c[t], b.width);
    }
  }
}

}  // namespace pronk::cpu
