// IQ4_NL: 32 weights as d · value(code) with sixteen unevenly spaced values; in the file an f16 d, then 16 bytes: byte
// j has the code of weight j in its low nibble and that of weight j + 16 in its high one.
// On the GPU plane 0 has a word for each eight weights (nibbles.h), plane 1 has d.
#include <cmath>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/nibbles.h"

namespace pronk::formats::iq4_nl {

constexpr u32 block_weights = 32;
constexpr u32 half_weights = block_weights / 2;
constexpr u32 block_bytes = 2 + half_weights;
constexpr i8 values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    decode_nibbles(blocks + 2, half_weights, values, f16_to_f32(load_le<u16>(blocks)), out);
  }
}

// The scale that fits best when weights count by their squares: for each of 15 scales that bring the weight of largest
// magnitude, ±1 here, near the end of the values, codes are chosen, and from them the scale by least squares.
static float best_scale(const float* weights, float extreme) {
  float best = 0, scale = 0;
  for (int end = -7; end <= 7; ++end) {
    const float inverse = (float(values[0]) + float(end)) * extreme;
    float fit = 0, power = 0;
    for (u32 i = 0; i < block_weights; ++i) {
      const float value = values[nearest(values, inverse * weights[i])];
      const float importance = weights[i] * weights[i];
      fit += importance * value * weights[i];
      power += importance * value * value;
    }
    if (power > 0 && fit * fit > best * power) {
      best = fit * fit / power;
      scale = fit / power;
    }
  }
  return scale;
}

void encode(const float* weights, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    float extreme = 0;
    for (u32 i = 0; i < block_weights; ++i) {
      if (std::fabs(weights[i]) > std::fabs(extreme)) extreme = weights[i];
    }
    const float size = std::fabs(extreme);
    float relative[block_weights] = {};
    for (u32 i = 0; i < block_weights && size >= 0x1p-126f; ++i) relative[i] = weights[i] / size;
    const float scale = best_scale(relative, extreme < 0 ? -1 : 1);
    const float inverse = scale == 0 ? 0 : 1 / scale;
    const u16 stored = f32_to_f16(scale * size);
    std::memcpy(blocks, &stored, sizeof stored);
    for (u32 j = 0; j < half_weights; ++j) {
      const u32 low = nearest(values, inverse * relative[j]);
      const u32 high = nearest(values, inverse * relative[j + half_weights]);
      blocks[2 + j] = u8(low | high << 4);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    repack_nibbles(blocks + 2, half_weights, planes[0] + b * half_weights);
    std::memcpy(planes[1] + b * 2, blocks, 2);
  }
}

}  // namespace pronk::formats::iq4_nl
