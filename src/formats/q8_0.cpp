// Q8_0: 32 weights as d · q; in the file an f16 d, then 32 signed bytes q.
// On the GPU: plane 0 has the 32 bytes of each block, plane 1 its d.
#include <cmath>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"

namespace pronk::formats::q8_0 {

constexpr u32 block_weights = 32;
constexpr u32 block_bytes = 2 + block_weights;

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    for (u32 i = 0; i < block_weights; ++i) out[i] = d * float(i8(blocks[2 + i]));
  }
}

// The largest magnitude becomes 127; quants use the unrounded scale.
void encode(const float* weights, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    float largest = 0;
    for (u32 i = 0; i < block_weights; ++i) largest = std::fmax(largest, std::fabs(weights[i]));
    const float d = largest / 127;
    const float inverse = std::fabs(d) >= 0x1p-126f ? 1 / d : 0;  // 1 / d must not overflow
    const u16 stored = f32_to_f16(d);
    std::memcpy(blocks, &stored, sizeof stored);
    for (u32 i = 0; i < block_weights; ++i) blocks[2 + i] = u8(i8(std::round(weights[i] * inverse)));
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    std::memcpy(planes[0] + b * block_weights, blocks + 2, block_weights);
    std::memcpy(planes[1] + b * 2, blocks, 2);
  }
}

}  // namespace pronk::formats::q8_0
