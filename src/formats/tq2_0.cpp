// TQ2_0: 256 weights as d · (q − 1), q of two bits (3 is not used). In the file 64 bytes, then an f16 d; of each 32
// bytes, byte j has weights j, 32 + j, 64 + j and 96 + j from the lowest bits up.
// On the GPU plane 0 has the q in order from the lowest bits up, 16 in a word, plane 1 has d.
#include <cmath>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"

namespace pronk::formats::tq2_0 {

constexpr u32 block_weights = 256;
constexpr u32 quant_bytes = block_weights / 4;
constexpr u32 block_bytes = quant_bytes + 2;

struct Place {
  u32 byte, shift;
};
constexpr Place place(u32 weight) { return {weight / 128 * 32 + weight % 32, weight % 128 / 32 * 2}; }

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    const float d = f16_to_f32(load_le<u16>(blocks + quant_bytes));
    for (u32 i = 0; i < block_weights; ++i) {
      const auto [byte, shift] = place(i);
      *out++ = d * float(int(blocks[byte] >> shift & 3) - 1);
    }
  }
}

// The largest magnitude becomes 1.
void encode(const float* weights, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    float d = 0;
    for (u32 i = 0; i < block_weights; ++i) d = std::fmax(d, std::fabs(weights[i]));
    const u16 stored = f32_to_f16(d);
    std::memset(blocks, 0, quant_bytes);
    std::memcpy(blocks + quant_bytes, &stored, sizeof stored);
    for (u32 i = 0; i < block_weights; ++i) {
      const u32 q = std::fabs(weights[i]) < d / 2 || d == 0 ? 1 : weights[i] > 0 ? 2 : 0;
      blocks[place(i).byte] |= u8(q << place(i).shift);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    u8* ordered = planes[0] + b * quant_bytes;
    std::memset(ordered, 0, quant_bytes);
    for (u32 i = 0; i < block_weights; ++i) {
      ordered[i / 4] |= u8((blocks[place(i).byte] >> place(i).shift & 3) << i % 4 * 2);
    }
    std::memcpy(planes[1] + b * 2, blocks + quant_bytes, 2);
  }
}

}  // namespace pronk::formats::tq2_0
