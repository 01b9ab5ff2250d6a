// How encoders choose scales: what codecs of like formats share. All of it is deterministic: plain float arithmetic in
// a fixed order. Weights are finite.
#pragma once

#include <span>

#include "base/types.h"

namespace pronk::formats {

constexpr u32 super_block_weights = 256;
constexpr u32 max_groups = 16, max_group_weights = 32;

// Weights as d · n + m with n = 0 … largest, from the smallest weight to the largest; head takes f16 d and m, quants n.
// Quants use the unrounded scale, as the field's encoders do.
void spread(std::span<const float> weights, u32 largest, u8* head, u8* quants);

// 256 weights in groups, a weight of group g as d · scales[g] · n − e · offsets[g].
struct AffineSuperBlock {
  u16 d = 0, e = 0;  // f16
  u8 scales[max_groups] = {}, offsets[max_groups] = {};
  u8 quants[super_block_weights] = {};
};

// Candidates spread a group's range over largest + first, + first + step, … quants; of each the line of least squares
// counts, and the one with the smallest error wins. Heavier weights matter more.
struct AffineSearch {
  u32 largest = 0;        // quant
  u32 scale_largest = 0;  // of scales and offsets
  float first = 0, step = 0;
  u32 steps = 0;
  bool absolute = false;  // error |w|·|Δ|, for few quants, instead of (rms + |w|)·Δ²
};
void fit_affine(const float* weights, u32 group_weights, const AffineSearch& search, AffineSuperBlock& out);

// 256 weights in 16 groups of 16, a weight of group g as d · scales[g] · n.
struct SymmetricSuperBlock {
  static constexpr u32 group_weights = 16;
  u16 d = 0;  // f16
  i8 scales[max_groups] = {};
  i8 quants[super_block_weights] = {};
};

// Quants run from lowest to −lowest − 1, scales likewise. Candidates put a group's extreme weight near the lowest
// quant; of each the scale of least squares, weighted by w², counts.
struct SymmetricSearch {
  int lowest = 0;
  int scale_lowest = 0;
};
void fit_symmetric(const float* weights, const SymmetricSearch& search, SymmetricSuperBlock& out);

}  // namespace pronk::formats
