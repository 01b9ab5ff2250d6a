// Q1_0: 128 weights, each d or −d; in the file an f16 d, then 16 bytes: bit i is set where weight i is d.
// On the GPU plane 0 has the 16 bytes, plane 1 has d.
#include <cmath>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"

namespace pronk::formats::q1_0 {

constexpr u32 block_weights = 128;
constexpr u32 bit_bytes = block_weights / 8;
constexpr u32 block_bytes = 2 + bit_bytes;

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    for (u32 i = 0; i < block_weights; ++i) out[i] = blocks[2 + i / 8] >> i % 8 & 1 ? d : -d;
  }
}

// d is the mean magnitude, which of all d leaves the least squared error.
void encode(const float* weights, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    float sum = 0;
    for (u32 i = 0; i < block_weights; ++i) sum += std::fabs(weights[i]);
    const u16 stored = f32_to_f16(sum / block_weights);
    std::memset(blocks, 0, block_bytes);
    std::memcpy(blocks, &stored, sizeof stored);
    for (u32 i = 0; i < block_weights; ++i) blocks[2 + i / 8] |= u8((weights[i] >= 0) << i % 8);
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    std::memcpy(planes[0] + b * bit_bytes, blocks + 2, bit_bytes);
    std::memcpy(planes[1] + b * 2, blocks, 2);
  }
}

}  // namespace pronk::formats::q1_0
