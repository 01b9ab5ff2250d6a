#include "formats/fit.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/half.h"

namespace pronk::formats {
namespace {

constexpr float tiny = 1e-15f;  // far below what an f16 scale can say; its inverse is still finite

// Groups have a multiple of this many weights; sums are kept apart by lane, so that they become vector code.
constexpr u32 lanes = 8;

// The nearest whole number in low … high, ties to even: adding 1.5 · 2²³ leaves no bits for a fraction. NaN (weights
// too large for float sums) gives low.
float nearest(float value, float low, float high) {
  return std::min(std::max(low, value), high) + 0x1.8p23f - 0x1.8p23f;
}

float invert(float value) { return std::fabs(value) < tiny ? 0 : 1 / value; }

// Σ term(i) for i < count.
template <class Term>
float sum(std::size_t count, const Term& term) {
  float sums[lanes] = {};
  for (std::size_t i = 0; i < count; i += lanes) {
    for (u32 lane = 0; lane < lanes; ++lane) sums[lane] += term(i + lane);
  }
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

struct Line {
  float scale = 0, offset = 0;  // a weight is scale · n − offset; neither is negative
};

// Finds the line for one group.
class LineFit {
 public:
  LineFit(std::span<const float> weights, const AffineSearch& search) : weights_(weights), search_(search) {
    const std::size_t count = weights.size();
    const float squares = sum(count, [&](std::size_t i) { return weights[i] * weights[i]; });
    const float floor = search.absolute ? 0 : std::sqrt(squares / float(count));
    for (std::size_t i = 0; i < count; ++i) importance_[i] = floor + std::fabs(weights[i]);
    w_ = sum(count, [&](std::size_t i) { return importance_[i]; });
    x_ = sum(count, [&](std::size_t i) { return importance_[i] * weights[i]; });
  }

  Line find() {
    const auto [smallest, largest] = std::minmax_element(weights_.begin(), weights_.end());
    const float low = std::min(0.f, *smallest), range = *largest - low, quants = float(search_.largest);
    if (range < tiny) return {0, -low};
    quantize(quants / range, low);
    Line best{range / quants, -low};
    float best_error = error(best);
    for (u32 i = 0; i < search_.steps; ++i) {
      quantize((quants + search_.first + search_.step * float(i)) / range, low);
      Line line;
      if (!least_squares(line)) continue;
      const float candidate_error = error(line);
      if (candidate_error < best_error) best = line, best_error = candidate_error;
    }
    return best;
  }

 private:
  void quantize(float inverse, float low) {
    const float most = float(search_.largest);
    for (std::size_t i = 0; i < weights_.size(); ++i) quants_[i] = nearest(inverse * (weights_[i] - low), 0, most);
  }
  // Offsets cannot be negative: such a line goes through zero instead. False where all quants are the same.
  bool least_squares(Line& out) const {
    const std::size_t count = weights_.size();
    const float n = sum(count, [&](std::size_t i) { return importance_[i] * quants_[i]; });
    const float nn = sum(count, [&](std::size_t i) { return importance_[i] * quants_[i] * quants_[i]; });
    const float xn = sum(count, [&](std::size_t i) { return importance_[i] * quants_[i] * weights_[i]; });
    const float determinant = w_ * nn - n * n;
    if (!(determinant > 0)) return false;
    out = {(w_ * xn - x_ * n) / determinant, (n * xn - nn * x_) / determinant};
    if (out.offset < 0) out = {xn / nn, 0};
    return true;
  }
  float error(const Line& line) const {
    const auto difference = [&](std::size_t i) { return line.scale * quants_[i] - line.offset - weights_[i]; };
    if (search_.absolute) {
      return sum(weights_.size(), [&](std::size_t i) { return importance_[i] * std::fabs(difference(i)); });
    }
    return sum(weights_.size(), [&](std::size_t i) { return importance_[i] * difference(i) * difference(i); });
  }

  std::span<const float> weights_;
  const AffineSearch& search_;
  float importance_[max_group_weights], quants_[max_group_weights];
  float w_ = 0, x_ = 0;  // Σ importance, Σ importance · weight
};

// The scale of least squares for quants that put the extreme weight near the lowest; 0 for a group of almost zeros.
float fit_scale(std::span<const float> weights, int lowest) {
  const std::size_t count = weights.size();
  float extreme = 0;
  for (float weight : weights) {
    if (std::fabs(weight) > std::fabs(extreme)) extreme = weight;
  }
  if (std::fabs(extreme) < tiny) return 0;
  float importance[max_group_weights], quants[max_group_weights];
  for (std::size_t i = 0; i < count; ++i) {
    const float relative = weights[i] / extreme;  // squares of the weights themselves may underflow
    importance[i] = relative * relative;
  }
  float best_scale = 0, best_gain = -1;
  for (int candidate = -9; candidate <= 9; ++candidate) {
    const float inverse = (float(lowest) + 0.1f * float(candidate)) / extreme;
    for (std::size_t i = 0; i < count; ++i) {
      quants[i] = nearest(inverse * weights[i], float(lowest), float(-lowest - 1));
    }
    const float xn = sum(count, [&](std::size_t i) { return importance[i] * quants[i] * weights[i]; });
    const float nn = sum(count, [&](std::size_t i) { return importance[i] * quants[i] * quants[i]; });
    const float scale = nn > 0 ? xn / nn : 0;
    if (scale * xn > best_gain) best_scale = scale, best_gain = scale * xn;
  }
  return best_scale;
}

}  // namespace

void spread(std::span<const float> weights, u32 largest, u8* head, u8* quants) {
  const auto [low, high] = std::minmax_element(weights.begin(), weights.end());
  const float m = *low, d = (*high - m) / float(largest);
  const float inverse = d >= 0x1p-126f ? 1 / d : 0;  // 1 / d must not overflow
  store_le(head, f32_to_f16(d));
  store_le(head + 2, f32_to_f16(m));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    quants[i] = u8(std::min(float(largest), std::max(0.f, (weights[i] - m) * inverse) + 0.5f));
  }
}

void fit_affine(const float* weights, u32 group_weights, const AffineSearch& search, AffineSuperBlock& out) {
  const u32 groups = super_block_weights / group_weights;
  Line lines[max_groups], most;
  for (u32 g = 0; g < groups; ++g) {
    lines[g] = LineFit({weights + g * group_weights, group_weights}, search).find();
    most = {std::max(most.scale, lines[g].scale), std::max(most.offset, lines[g].offset)};
  }
  const float steps = float(search.scale_largest);
  out.d = f32_to_f16(most.scale / steps);
  out.e = f32_to_f16(most.offset / steps);
  for (u32 g = 0; g < groups; ++g) {
    out.scales[g] = u8(nearest(steps * invert(most.scale) * lines[g].scale, 0, steps));
    out.offsets[g] = u8(nearest(steps * invert(most.offset) * lines[g].offset, 0, steps));
    const float scale = f16_to_f32(out.d) * float(out.scales[g]);
    const float offset = f16_to_f32(out.e) * float(out.offsets[g]);
    for (u32 i = g * group_weights; i < (g + 1) * group_weights; ++i) {
      out.quants[i] = u8(nearest((weights[i] + offset) * invert(scale), 0, float(search.largest)));
    }
  }
}

void fit_symmetric(const float* weights, const SymmetricSearch& search, SymmetricSuperBlock& out) {
  constexpr u32 group_weights = SymmetricSuperBlock::group_weights;
  const float lowest = float(search.lowest), scale_lowest = float(search.scale_lowest);
  float scales[max_groups], extreme = 0;
  for (u32 g = 0; g < max_groups; ++g) {
    scales[g] = fit_scale({weights + g * group_weights, group_weights}, search.lowest);
    if (std::fabs(scales[g]) > std::fabs(extreme)) extreme = scales[g];
  }
  out.d = f32_to_f16(extreme / scale_lowest);
  for (u32 g = 0; g < max_groups; ++g) {
    const float relative = scales[g] * invert(extreme);
    out.scales[g] = i8(nearest(scale_lowest * relative, scale_lowest, -scale_lowest - 1));
    const float inverse = invert(f16_to_f32(out.d) * float(out.scales[g]));
    for (u32 i = g * group_weights; i < (g + 1) * group_weights; ++i) {
      out.quants[i] = i8(nearest(weights[i] * inverse, lowest, -lowest - 1));
    }
  }
}

}  // namespace pronk::formats
