// Q6_K: 256 weights in 16 groups of 16, group g as d · s[g] · (n − 32); in the file 128 bytes of nibbles, 64 bytes of
// upper bits, 16 signed bytes s, an f16 d. Weight 128h + 64p + 32q + l has nibble p (0: low) of byte 64h + 32q + l, and
// the two bits from 4p + 2q up of upper byte 32h + l.
// On the GPU plane 0 has the nibbles (32 words a block), plane 1 the upper bits (16 words), both as pack.h says; plane
// 2 the 16 bytes s, plane 3 d.
#include <algorithm>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/fit.h"
#include "formats/pack.h"

namespace pronk::formats::q6_k {

constexpr u32 block_weights = 256;
constexpr u32 group_weights = 16;
constexpr u32 groups = block_weights / group_weights;
constexpr u32 nibble_bytes = block_weights / 2, upper_bytes = block_weights / 4;
constexpr u32 upper_at = nibble_bytes, scales_at = upper_at + upper_bytes, d_at = scales_at + groups;
constexpr u32 block_bytes = d_at + 2;

// Where weight i lies.
static constexpr u32 nibble_byte(u32 i) { return i / 128 * 64 + i % 64; }
static constexpr u32 nibble_shift(u32 i) { return i % 128 / 64 * 4; }
static constexpr u32 upper_byte(u32 i) { return upper_at + i / 128 * 32 + i % 32; }
static constexpr u32 upper_shift(u32 i) { return i % 128 / 32 * 2; }

static void unpack(const u8* block, u8* quants) {
  for (u32 i = 0; i < block_weights; ++i) {
    const u32 upper = block[upper_byte(i)] >> upper_shift(i) & 3;
    quants[i] = u8((block[nibble_byte(i)] >> nibble_shift(i) & 15) | upper << 4);
  }
}

void decode(const u8* blocks, u64 count, float* out) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    const float d = f16_to_f32(load_le<u16>(blocks + d_at));
    unpack(blocks, quants);
    for (u32 g = 0; g < groups; ++g) {
      const float scale = d * float(i8(blocks[scales_at + g]));
      for (u32 i = g * group_weights; i < (g + 1) * group_weights; ++i) out[i] = scale * float(quants[i] - 32);
    }
  }
}

void encode(const float* weights, u64 count, u8* blocks) {
  constexpr SymmetricSearch search{.lowest = -32, .scale_lowest = -128};
  SymmetricSuperBlock fitted;
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    fit_symmetric(weights, search, fitted);
    std::fill_n(blocks, block_bytes, u8(0));
    for (u32 i = 0; i < block_weights; ++i) {
      const u32 quant = u32(fitted.quants[i] + 32);
      blocks[nibble_byte(i)] |= u8((quant & 15) << nibble_shift(i));
      blocks[upper_byte(i)] |= u8(quant >> 4 << upper_shift(i));
    }
    std::memcpy(blocks + scales_at, fitted.scales, groups);
    store_le(blocks + d_at, fitted.d);
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    unpack(blocks, quants);
    pack_fours<4>(quants, block_weights, 0, planes[0] + b * nibble_bytes);
    pack_fours<2>(quants, block_weights, 4, planes[1] + b * upper_bytes);
    std::memcpy(planes[2] + b * groups, blocks + scales_at, groups);
    std::memcpy(planes[3] + b * 2, blocks + d_at, 2);
  }
}

}  // namespace pronk::formats::q6_k
