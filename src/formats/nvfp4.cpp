// NVFP4: 64 weights in 4 groups of 16, each d · x with x in E2M1 (a sign, two bits of exponent, one of mantissa) and d
// in E4M3 without its sign. In the file 4 bytes d, then 8 bytes a group: byte j has weight j in its low nibble and
// weight j + 8 in its high one.
// On the GPU plane 0 has a word for each eight weights (nibbles.h), plane 1 the word of the four d.
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "formats/nibbles.h"

namespace pronk::formats::nvfp4 {

constexpr u32 block_weights = 64;
constexpr u32 groups = 4;
constexpr u32 group_weights = 16;
constexpr u32 block_bytes = groups + block_weights / 2;
constexpr i8 values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};  // 2x
constexpr i8 magnitudes[8] = {0, 1, 2, 3, 4, 6, 8, 12};

// Half of the scale, for twice the values. 0x7f, a NaN elsewhere, is 0; bit 7 counts only there.
static float half_scale(u8 bits) {
  if (bits == 0x7f) return 0;
  const u32 exponent = bits >> 3 & 15, mantissa = bits & 7;
  return std::ldexp(float(exponent == 0 ? mantissa : 8 + mantissa), (exponent == 0 ? 1 : int(exponent)) - 11);
}

// The scale byte whose value is nearest to `scale`, at most 448 = 0x7e.
static u8 nearest_scale(float scale) {
  if (scale >= 448) return 0x7e;
  if (scale < 0x1p-6f) return u8(scale * 512 + 0.5f);
  return u8((std::bit_cast<u32>(scale) - (120u << 23) + (1u << 19)) >> 20);  // 4 + 3 bits, exponent bias 7
}

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    for (u32 g = 0; g < groups; ++g, out += group_weights) {
      decode_nibbles(blocks + groups + 8 * g, 8, values, half_scale(blocks[g]), out);
    }
  }
}

// The largest magnitude becomes 6.
void encode(const float* weights, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    for (u32 g = 0; g < groups; ++g, weights += group_weights) {
      float largest = 0;
      for (u32 i = 0; i < group_weights; ++i) largest = std::fmax(largest, std::fabs(weights[i]));
      blocks[g] = nearest_scale(largest / 6);
      const float inverse = blocks[g] == 0 ? 0 : 1 / half_scale(blocks[g]);
      const auto code = [&](float weight) {
        const u32 magnitude = nearest(magnitudes, std::fabs(weight) * inverse);
        return weight < 0 && magnitude != 0 ? magnitude | 8 : magnitude;
      };
      for (u32 j = 0; j < 8; ++j) blocks[groups + 8 * g + j] = u8(code(weights[j]) | code(weights[j + 8]) << 4);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    for (u32 g = 0; g < groups; ++g) {
      repack_nibbles(blocks + groups + 8 * g, 8, planes[0] + b * (block_weights / 2) + 8 * g);
    }
    std::memcpy(planes[1] + b * groups, blocks, groups);
  }
}

}  // namespace pronk::formats::nvfp4
