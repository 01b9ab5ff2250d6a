// Q4_0: 32 weights as d · (n − 8); in the file an f16 d, then 16 bytes: byte j has weight j in its low nibble and
// weight j + 16 in its high one.
// On the GPU plane 0 has four words a block, word w the weights 8w … 8w + 7: its byte j has weight 8w + j in the low
// nibble and 8w + 4 + j in the high one, so the low nibbles are four weights in a row and the high ones the next four.
// Plane 1 has d.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"

namespace pronk::formats::q4_0 {

constexpr u32 block_weights = 32;
constexpr u32 half_weights = block_weights / 2;
constexpr u32 block_bytes = 2 + half_weights;

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    for (u32 j = 0; j < half_weights; ++j) {
      const u8 pair = blocks[2 + j];
      out[j] = d * float((pair & 15) - 8);
      out[j + half_weights] = d * float((pair >> 4) - 8);
    }
  }
}

// The weight of largest magnitude becomes −8, whatever its sign; quants use the unrounded scale.
void encode(const float* weights, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    float extreme = 0;
    for (u32 i = 0; i < block_weights; ++i) {
      if (std::fabs(weights[i]) > std::fabs(extreme)) extreme = weights[i];
    }
    const float d = extreme / -8;
    const float inverse = std::fabs(d) >= 0x1p-126f ? 1 / d : 0;  // 1 / d must not overflow
    const u16 stored = f32_to_f16(d);
    std::memcpy(blocks, &stored, sizeof stored);
    auto quant = [&](float weight) { return u8(std::min(15, int(weight * inverse + 8.5f))); };
    for (u32 j = 0; j < half_weights; ++j) {
      blocks[2 + j] = u8(quant(weights[j]) | quant(weights[j + half_weights]) << 4);
    }
  }
}

// Words 0 and 1 come from the low nibbles of file bytes 0–7 and 8–15, words 2 and 3 from their high nibbles.
void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    u8* words = planes[0] + b * half_weights;
    for (u32 w = 0; w < 4; ++w) {
      const u8* pairs = blocks + 2 + w % 2 * 8;
      const u32 shift = w / 2 * 4;
      for (u32 j = 0; j < 4; ++j) {
        words[4 * w + j] = u8((pairs[j] >> shift & 15) | (pairs[j + 4] >> shift & 15) << 4);
      }
    }
    std::memcpy(planes[1] + b * 2, blocks, 2);
  }
}

}  // namespace pronk::formats::q4_0
