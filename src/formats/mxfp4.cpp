// MXFP4: 32 weights as 2^(e − 127) · x, the MXFP4 of OCP's Microscaling Formats 1.0: x is E2M1 (a sign, two bits of
// exponent, one of mantissa). In the file the byte e, then 16 bytes: byte j has weight j in its low nibble and weight
// j + 16 in its high one.
// On the GPU plane 0 has a word for each eight weights (nibbles.h), plane 1 has e; there weights of e < 2 are zeros.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "formats/nibbles.h"

namespace pronk::formats::mxfp4 {

constexpr u32 block_weights = 32;
constexpr u32 half_weights = block_weights / 2;
constexpr u32 block_bytes = 1 + half_weights;
constexpr i8 values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};  // 2x
constexpr i8 magnitudes[8] = {0, 1, 2, 3, 4, 6, 8, 12};

// 2^(e − 128): half of the scale, for twice the values. e = 255 is no NaN here.
static float half_scale(u8 e) { return std::bit_cast<float>(e < 2 ? 0x200000u << e : u32(e - 1) << 23); }

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    decode_nibbles(blocks + 1, half_weights, values, half_scale(blocks[0]), out);
  }
}

// e is the exponent of the largest magnitude less that of 4, as the specification has it: 6 · 2^(e − 127) may be
// exceeded, and what does is cut.
void encode(const float* weights, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    float largest = 0;
    for (u32 i = 0; i < block_weights; ++i) largest = std::fmax(largest, std::fabs(weights[i]));
    const int exponent = int(std::bit_cast<u32>(largest) >> 23);
    const u8 e = u8(std::max(exponent - 2, 0));
    const float scale = half_scale(e);
    const auto code = [&](float weight) {
      const u32 magnitude = nearest(magnitudes, std::fabs(weight) / scale);
      return weight < 0 && magnitude != 0 ? magnitude | 8 : magnitude;
    };
    blocks[0] = e;
    for (u32 j = 0; j < half_weights; ++j) {
      blocks[1 + j] = u8(code(weights[j]) | code(weights[j + half_weights]) << 4);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    repack_nibbles(blocks + 1, half_weights, planes[0] + b * half_weights);
    planes[1][b] = blocks[0];
  }
}

}  // namespace pronk::formats::mxfp4
