// Q2_0: 64 weights as d · (q − 1), q of two bits; in the file an f16 d, then 16 bytes with four q each, the first
// lowest.
// On the GPU plane 0 has the 16 bytes, plane 1 has d.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"

namespace pronk::formats::q2_0 {

constexpr u32 block_weights = 64;
constexpr u32 quant_bytes = block_weights / 4;
constexpr u32 block_bytes = 2 + quant_bytes;

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    for (u32 i = 0; i < block_weights; ++i) out[i] = d * float(int(blocks[2 + i / 4] >> i % 4 * 2 & 3) - 1);
  }
}

// The largest magnitude becomes 1, as the field's own writer has it, so that q = 3 stays for others' files.
void encode(const float* weights, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    float d = 0;
    for (u32 i = 0; i < block_weights; ++i) d = std::fmax(d, std::fabs(weights[i]));
    const u16 stored = f32_to_f16(d);
    std::memset(blocks, 0, block_bytes);
    std::memcpy(blocks, &stored, sizeof stored);
    for (u32 i = 0; i < block_weights; ++i) {
      const u32 q = std::fabs(weights[i]) < d / 2 || d == 0 ? 1 : weights[i] > 0 ? 2 : 0;
      blocks[2 + i / 4] |= u8(q << i % 4 * 2);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    std::memcpy(planes[0] + b * quant_bytes, blocks + 2, quant_bytes);
    std::memcpy(planes[1] + b * 2, blocks, 2);
  }
}

}  // namespace pronk::formats::q2_0
