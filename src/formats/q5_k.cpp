// Q5_K: 256 weights in eight groups of 32; in the file a head (six_bit_scales.h), 32 bytes of fifth bits, then 128
// bytes of nibbles. Weight 64p + 32h + l has nibble h (0: low) of byte 32p + l, and bit 2p + h of fifth-bit byte l.
// On the GPU plane 0 has the nibbles (32 words a block), plane 1 the head, plane 2 the fifth bits (8 words); planes 0
// and 2 as pack.h says.
#include <algorithm>
#include <span>

#include "formats/fit.h"
#include "formats/pack.h"
#include "formats/six_bit_scales.h"

namespace pronk::formats::q5_k {

constexpr u32 block_weights = 256;
constexpr u32 head_bytes = SixBitScales::bytes;
constexpr u32 fifth_bytes = block_weights / 8;
constexpr u32 nibble_bytes = block_weights / 2;
constexpr u32 block_bytes = head_bytes + fifth_bytes + nibble_bytes;

static void unpack(const u8* block, u8* quants) {
  const u8* fifth = block + head_bytes;
  const u8* nibbles = fifth + fifth_bytes;
  for (u32 i = 0; i < block_weights; ++i) {
    quants[i] = u8((nibbles[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15) | (fifth[i % 32] >> i / 32 & 1) << 4);
  }
}

void decode(const u8* blocks, u64 count, float* out) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    unpack(blocks, quants);
    scale_quants(read_head(blocks), quants, out);
  }
}

void encode(const float* weights, u64 count, u8* blocks) {
  constexpr AffineSearch search{.largest = 31, .scale_largest = 63, .first = -0.5f, .step = 0.1f, .steps = 16};
  AffineSuperBlock fitted;
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    fit_affine(weights, SixBitScales::group_weights, search, fitted);
    SixBitScales head{fitted.d, fitted.e};
    std::copy_n(fitted.scales, SixBitScales::groups, head.scales);
    std::copy_n(fitted.offsets, SixBitScales::groups, head.offsets);
    write_head(head, blocks);
    std::fill(blocks + head_bytes, blocks + block_bytes, u8(0));
    u8* fifth = blocks + head_bytes;
    u8* nibbles = fifth + fifth_bytes;
    for (u32 i = 0; i < block_weights; ++i) {
      nibbles[i / 64 * 32 + i % 32] |= u8((fitted.quants[i] & 15) << i / 32 % 2 * 4);
      fifth[i % 32] |= u8(fitted.quants[i] >> 4 << i / 32);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    unpack(blocks, quants);
    pack_fours<4>(quants, block_weights, 0, planes[0] + b * nibble_bytes);
    write_gpu_head(read_head(blocks), planes[1] + b * head_bytes);
    pack_fours<1>(quants, block_weights, 4, planes[2] + b * fifth_bytes);
  }
}

}  // namespace pronk::formats::q5_k
