// TQ1_0: 256 weights as d · t, t one of −1, 0, 1. A byte holds five t: (byte · 3^n mod 256) · 3 / 256, rounded down,
// is the n-th plus 1. In the file 32 bytes for weights 0 … 159, the n-th t of byte j that of weight 32n + j; 16 bytes
// for weights 160 … 239 likewise with 16; 4 bytes with four t each for weights 240 … 255 likewise with 4; then an f16
// d.
// On the GPU each 32 weights have bytes of their own: plane 0 four bytes, the n-th t of byte j that of weight 4n + j;
// plane 1 two bytes, the t numbered 2m + i of byte j that of weight 20 + 4m + 2j + i, where m is 2 and i is 1 for plane
// 2 instead: two bits each for weights 29 and 31. Plane 3 has d.
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

namespace {

constexpr u32 group_weights = 32;

// t + 1 of all weights of a block.
void unpack(const u8* block, u8* codes) {
  for (const Run& run : runs) {
    u8 rest[32];
    std::memcpy(rest, block + run.first_byte, run.bytes);
    for (u32 n = 0; n < run.trits; ++n, codes += run.bytes) {
      for (u32 j = 0; j < run.bytes; ++j) {
        codes[j] = u8(rest[j] * 3 >> 8);
        rest[j] = u8(rest[j] * 3);
      }
    }
  }
}

// Five codes, which lie `step` apart, as the file has them.
u8 packed(const u8* codes, u32 step) {
  u32 number = 0;
  for (u32 n = 0; n < 5; ++n) number = 3 * number + codes[n * step];
  return u8((number * 256 + 242) / 243);
}

}  // namespace

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    u8 codes[block_weights];
    unpack(blocks, codes);
    for (u32 g = 0; g < block_weights / group_weights; ++g) {
      const u8* of_group = codes + g * group_weights;
      const u64 group = b * (block_weights / group_weights) + g;
      for (u32 j = 0; j < 4; ++j) planes[0][4 * group + j] = packed(of_group + j, 4);
      for (u32 j = 0; j < 2; ++j) {
        const u8* last = of_group + 20 + 2 * j;
        const u8 five[] = {last[0], last[1], last[4], last[5], last[8]};
        planes[1][2 * group + j] = packed(five, 1);
      }
      const u8 bits = u8(of_group[29] | of_group[31] << 2);
      u8& two_groups = planes[2][group / 2];
      two_groups = g % 2 == 0 ? bits : u8(two_groups | bits << 4);
    }
    std::memcpy(planes[3] + b * 2, blocks + 52, 2);
  }
}

}  // namespace pronk::formats::tq1_0
