// Q3_K: 256 weights in 16 groups of 16, group g as d · (s[g] − 32) · (n − 4). In the file 32 bytes of third bits, 64
// bytes of lower bits, 12 bytes of scales, an f16 d. Weight 128h + 32k + l has bits 2k, 2k + 1 of lower byte 32h + l
// and bit 4h + k of third byte l. Scale g has its low nibble in scale byte g % 8 (low half for g < 8) and its upper two
// bits in byte 8 + g % 4 at bit 2 · (g / 4).
// On the GPU plane 0 has the lower bits (16 words a block), plane 1 the third bits (8 words), both as pack.h says,
// the bits of a byte of plane 1 then in the order 4 5 0 1 6 7 2 3, in which four shifts put them into nibbles of plane
// 0; plane 2 the scales: two words of nibbles, nibble g % 8 of word g / 8, then a word with the upper bits at bit 2g;
// plane 3 d.
#include <algorithm>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/fit.h"
#include "formats/pack.h"

namespace pronk::formats::q3_k {

constexpr u32 block_weights = 256;
constexpr u32 group_weights = 16;
constexpr u32 groups = block_weights / group_weights;
constexpr u32 third_bytes = 32, lower_bytes = 64, scale_bytes = 12;
constexpr u32 lower_at = third_bytes, scales_at = lower_at + lower_bytes, d_at = scales_at + scale_bytes;
constexpr u32 block_bytes = d_at + 2;

static void unpack(const u8* block, u8* quants) {
  for (u32 i = 0; i < block_weights; ++i) {
    const u32 lower = block[lower_at + i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
    quants[i] = u8(lower | (block[i % 32] >> i / 32 & 1) << 2);
  }
}

static void unpack_scales(const u8* block, u8* scales) {
  const u8* packed = block + scales_at;
  for (u32 g = 0; g < groups; ++g) {
    scales[g] = u8((packed[g % 8] >> g / 8 * 4 & 15) | (packed[8 + g % 4] >> g / 4 * 2 & 3) << 4);
  }
}

void decode(const u8* blocks, u64 count, float* out) {
  u8 quants[block_weights], scales[groups];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    const float d = f16_to_f32(load_le<u16>(blocks + d_at));
    unpack(blocks, quants);
    unpack_scales(blocks, scales);
    for (u32 g = 0; g < groups; ++g) {
      const float scale = d * float(scales[g] - 32);
      for (u32 i = g * group_weights; i < (g + 1) * group_weights; ++i) out[i] = scale * float(quants[i] - 4);
    }
  }
}

void encode(const float* weights, u64 count, u8* blocks) {
  constexpr SymmetricSearch search{.lowest = -4, .scale_lowest = -32};
  SymmetricSuperBlock fitted;
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    fit_symmetric(weights, search, fitted);
    std::fill_n(blocks, block_bytes, u8(0));
    for (u32 i = 0; i < block_weights; ++i) {
      const u32 quant = u32(fitted.quants[i] + 4);
      blocks[lower_at + i / 128 * 32 + i % 32] |= u8((quant & 3) << i % 128 / 32 * 2);
      blocks[i % 32] |= u8(quant >> 2 << i / 32);
    }
    for (u32 g = 0; g < groups; ++g) {
      const u32 scale = u32(fitted.scales[g] + 32);
      blocks[scales_at + g % 8] |= u8((scale & 15) << g / 8 * 4);
      blocks[scales_at + 8 + g % 4] |= u8(scale >> 4 << g / 4 * 2);
    }
    store_le(blocks + d_at, fitted.d);
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  u8 quants[block_weights], scales[groups];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    unpack(blocks, quants);
    unpack_scales(blocks, scales);
    pack_fours<2>(quants, block_weights, 0, planes[0] + b * lower_bytes);
    pack_fours<1>(quants, block_weights, 2, planes[1] + b * third_bytes);
    for (u8& bits : std::span(planes[1] + b * third_bytes, third_bytes))
      bits = u8((bits & 0x03) << 2 | (bits & 0x0c) << 4 | (bits & 0x30) >> 4 | (bits & 0xc0) >> 2);
    u32 words[3] = {};
    for (u32 g = 0; g < groups; ++g) {
      words[g / 8] |= u32(scales[g] & 15) << 4 * (g % 8);
      words[2] |= u32(scales[g] >> 4) << 2 * g;
    }
    for (u32 i = 0; i < 3; ++i) store_le(planes[2] + b * scale_bytes + 4 * i, words[i]);
    std::memcpy(planes[3] + b * 2, blocks + d_at, 2);
  }
}

}  // namespace pronk::formats::q3_k
