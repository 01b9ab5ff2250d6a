// Q2_K: 256 weights in 16 groups of 16, group g as d · s[g] · n − e · t[g]; in the file 16 bytes (s[g] in the low
// nibble, t[g] in the high one), 64 bytes of quants, f16 d and e. Weight 128h + 32k + l has bits 2k, 2k + 1 of quant
// byte 32h + l.
// On the GPU plane 0 has the quants (16 words a block, pack.h), plane 1 the 16 bytes of scales, plane 2 a word with d
// and e.
#include <algorithm>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/fit.h"
#include "formats/pack.h"

namespace pronk::formats::q2_k {

constexpr u32 block_weights = 256;
constexpr u32 group_weights = 16;
constexpr u32 groups = block_weights / group_weights;
constexpr u32 quant_bytes = block_weights / 4;
constexpr u32 block_bytes = groups + quant_bytes + 4;

static void unpack(const u8* block, u8* quants) {
  for (u32 i = 0; i < block_weights; ++i) quants[i] = block[groups + i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}

void decode(const u8* blocks, u64 count, float* out) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    const float d = f16_to_f32(load_le<u16>(blocks + groups + quant_bytes));
    const float e = f16_to_f32(load_le<u16>(blocks + groups + quant_bytes + 2));
    unpack(blocks, quants);
    for (u32 g = 0; g < groups; ++g) {
      const float scale = d * float(blocks[g] & 15);
      const float offset = e * float(blocks[g] >> 4);
      for (u32 i = g * group_weights; i < (g + 1) * group_weights; ++i) out[i] = scale * float(quants[i]) - offset;
    }
  }
}

void encode(const float* weights, u64 count, u8* blocks) {
  constexpr AffineSearch search{
      .largest = 3, .scale_largest = 15, .first = -0.5f, .step = 0.1f, .steps = 16, .absolute = true};
  AffineSuperBlock fitted;
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    fit_affine(weights, group_weights, search, fitted);
    for (u32 g = 0; g < groups; ++g) blocks[g] = u8(fitted.scales[g] | fitted.offsets[g] << 4);
    std::fill_n(blocks + groups, quant_bytes, u8(0));
    for (u32 i = 0; i < block_weights; ++i) {
      blocks[groups + i / 128 * 32 + i % 32] |= u8(fitted.quants[i] << i % 128 / 32 * 2);
    }
    store_le(blocks + groups + quant_bytes, fitted.d);
    store_le(blocks + groups + quant_bytes + 2, fitted.e);
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    unpack(blocks, quants);
    pack_fours<2>(quants, block_weights, 0, planes[0] + b * quant_bytes);
    std::memcpy(planes[1] + b * groups, blocks, groups);
    std::memcpy(planes[2] + b * 4, blocks + groups + quant_bytes, 4);
  }
}

}  // namespace pronk::formats::q2_k
