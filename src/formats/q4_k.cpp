// Q4_K: 256 weights in eight groups of 32; in the file a head (six_bit_scales.h), then 128 bytes of quants. Weight 64p
// + 32h + l is nibble h (0: low) of byte 32p + l.
// On the GPU plane 0 has the quants (32 words a block, pack.h), plane 1 the head.
#include <algorithm>
#include <span>

#include "formats/fit.h"
#include "formats/pack.h"
#include "formats/six_bit_scales.h"

namespace pronk::formats::q4_k {

constexpr u32 block_weights = 256;
constexpr u32 head_bytes = SixBitScales::bytes;
constexpr u32 nibble_bytes = block_weights / 2;
constexpr u32 block_bytes = head_bytes + nibble_bytes;

static void unpack(const u8* block, u8* quants) {
  const u8* nibbles = block + head_bytes;
  for (u32 i = 0; i < block_weights; ++i) quants[i] = nibbles[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15;
}

void decode(const u8* blocks, u64 count, float* out) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    unpack(blocks, quants);
    scale_quants(read_head(blocks), quants, out);
  }
}

void encode(const float* weights, u64 count, u8* blocks) {
  constexpr AffineSearch search{.largest = 15, .scale_largest = 63, .first = -1, .step = 0.1f, .steps = 21};
  AffineSuperBlock fitted;
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    fit_affine(weights, SixBitScales::group_weights, search, fitted);
    SixBitScales head{fitted.d, fitted.e};
    std::copy_n(fitted.scales, SixBitScales::groups, head.scales);
    std::copy_n(fitted.offsets, SixBitScales::groups, head.offsets);
    write_head(head, blocks);
    std::fill(blocks + head_bytes, blocks + block_bytes, u8(0));
    u8* nibbles = blocks + head_bytes;
    for (u32 i = 0; i < block_weights; ++i) nibbles[i / 64 * 32 + i % 32] |= u8(fitted.quants[i] << i / 32 % 2 * 4);
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    unpack(blocks, quants);
    pack_fours<4>(quants, block_weights, 0, planes[0] + b * nibble_bytes);
    write_gpu_head(read_head(blocks), planes[1] + b * head_bytes);
  }
}

}  // namespace pronk::formats::q4_k
