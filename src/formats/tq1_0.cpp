// TQ1_0: 256 weights as d · t, t one of −1, 0, 1. A byte holds five t: (byte · 3^n mod 256) · 3 / 256, rounded down,
// is the n-th plus 1. In the file 32 bytes for weights 0 … 159, the n-th t of byte j that of weight 32n + j; 16 bytes
// for weights 160 … 239 likewise with 16; 4 bytes with four t each for weights 240 … 255 likewise with 4; then an f16
// d.
// On the GPU each 32 weights have bytes of their own: plane 0 four bytes, the n-th t of byte j that of weight 4n + j;
// plane 1 two bytes, the t numbered 2m + i of byte j that of weight 20 + 4m + 2j + i, where m is 2 and i is 1 for plane
// 2 instead: two bits each for weights 29 and 31. Plane 3 has d.
#include <algorithm>
#include <array>
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
constexpr u64 even_bytes = 0x00ff00ff00ff00ff;

// Of numbers of five digits to base 3 the fraction of 256 that the file has.
constexpr auto fractions = [] {
  std::array<u8, 243> all{};
  for (u32 number = 0; number < all.size(); ++number) all[number] = u8((number * 256 + 242) / 243);
  return all;
}();

// t + 1 of `trits` weights of each of some bytes, eight bytes at a time: a word has room for three times as much of
// four.
void unpack(const u8* bytes, u32 count, u32 trits, u8* codes) {
  for (u32 j = 0; j < count; j += 8) {
    u64 word = 0;
    std::memcpy(&word, bytes + j, std::min(8u, count - j));
    u64 even = word & even_bytes, odd = word >> 8 & even_bytes;
    for (u32 n = 0; n < trits; ++n) {
      even *= 3, odd *= 3;
      const u64 eight = (even >> 8 & 0x0003000300030003) | (odd & 0x0300030003000300);
      std::memcpy(codes + n * count + j, &eight, std::min(8u, count - j));
      even &= even_bytes, odd &= even_bytes;
    }
  }
}

// Codes of 32 weights, a byte each.
void pack_group(const u8* codes, u8* four, u8* two, u32& bits) {
  u32 words[8];
  std::memcpy(words, codes, sizeof words);
  u32 numbers = 0, last = 0;  // of four bytes, and of two in 16 bits each
  for (u32 n = 0; n < 5; ++n) numbers = 3 * numbers + words[n];
  for (u32 n = 5; n < 7; ++n) last = 9 * last + 3 * (words[n] & 0x00ff00ff) + (words[n] >> 8 & 0x00ff00ff);
  last = 3 * last + (words[7] & 0x00ff00ff);
  for (u32 j = 0; j < 4; ++j) four[j] = fractions[numbers >> 8 * j & 255];
  for (u32 j = 0; j < 2; ++j) two[j] = fractions[last >> 16 * j & 255];
  bits = (words[7] >> 8 & 3) | (words[7] >> 24 & 3) << 2;
}

}  // namespace

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    u8 codes[block_weights];
    u8* of_run = codes;
    for (const Run& run : runs) {
      unpack(blocks + run.first_byte, run.bytes, run.trits, of_run);
      of_run += run.bytes * run.trits;
    }
    u32 all_bits = 0;
    for (u32 g = 0; g < block_weights / group_weights; ++g) {
      const u64 group = b * (block_weights / group_weights) + g;
      u32 bits = 0;
      pack_group(codes + g * group_weights, planes[0] + 4 * group, planes[1] + 2 * group, bits);
      all_bits |= bits << 4 * g;
    }
    std::memcpy(planes[2] + b * 4, &all_bits, sizeof all_bits);
    std::memcpy(planes[3] + b * 2, blocks + 52, 2);
  }
}

}  // namespace pronk::formats::tq1_0
