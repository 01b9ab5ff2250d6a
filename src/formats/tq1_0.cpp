// TQ1_0: 256 weights as d · t, t one of −1, 0, 1. A byte holds five t: (byte · 3^n mod 256) · 3 / 256, rounded down,
// is the n-th plus 1. In the file 32 bytes for weights 0 … 159, the n-th t of byte j that of weight 32n + j; 16 bytes
// for weights 160 … 239 likewise with 16; 4 bytes with four t each for weights 240 … 255 likewise with 4; then an f16
// d.
// On the GPU plane 0 has the 48 bytes, plane 1 the 4, plane 2 has d: eight weights are one t of eight bytes in a row.
#include <cmath>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"

namespace pronk::formats::tq1_0 {

constexpr u32 block_weights = 256;
constexpr u32 block_bytes = 54;

struct Run {
  u32 first_byte, bytes, trits;
};
constexpr Run runs[] = {{0, 32, 5}, {32, 16, 5}, {48, 4, 4}};

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    const float d = f16_to_f32(load_le<u16>(blocks + 52));
    for (const Run& run : runs) {
      for (u32 n = 0, power = 1; n < run.trits; ++n, power *= 3) {
        for (u32 j = 0; j < run.bytes; ++j) {
          const u32 rest = blocks[run.first_byte + j] * power & 255;
          *out++ = d * float(int(rest * 3 >> 8) - 1);
        }
      }
    }
  }
}

// The largest magnitude becomes 1.
void encode(const float* weights, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    float d = 0;
    for (u32 i = 0; i < block_weights; ++i) d = std::fmax(d, std::fabs(weights[i]));
    const u16 stored = f32_to_f16(d);
    std::memcpy(blocks + 52, &stored, sizeof stored);
    for (const Run& run : runs) {
      for (u32 j = 0; j < run.bytes; ++j) {
        u32 number = 0;  // five digits to base 3, the first t first; four leave the last one 0
        for (u32 n = 0; n < 5; ++n) {
          number *= 3;
          if (n == run.trits) break;
          const float weight = weights[n * run.bytes + j];
          number += std::fabs(weight) < d / 2 || d == 0 ? 1 : weight > 0 ? 2 : 0;
        }
        blocks[run.first_byte + j] = u8((number * 256 + 242) / 243);  // as a fraction of 256, rounded up
      }
      weights += run.bytes * run.trits;
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    std::memcpy(planes[0] + b * 48, blocks, 48);
    std::memcpy(planes[1] + b * 4, blocks + 48, 4);
    std::memcpy(planes[2] + b * 2, blocks + 52, 2);
  }
}

}  // namespace pronk::formats::tq1_0
