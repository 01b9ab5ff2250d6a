// Q5_0: 32 weights as d · (n − 16); in the file an f16 d, a word whose bit i is the fifth bit of weight i, then 16
// bytes: byte j has the low bits of weight j in its low nibble and of weight j + 16 in its high one.
// On the GPU plane 0 has the nibbles (four words a block), plane 1 the fifth bits (a word), both as pack.h says; plane
// 2 d.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/pack.h"

namespace pronk::formats::q5_0 {

constexpr u32 block_weights = 32;
constexpr u32 half_weights = block_weights / 2;
constexpr u32 block_bytes = 2 + 4 + half_weights;

static void unpack(const u8* block, u8* quants) {
  const u32 fifth = load_le<u32>(block + 2);
  for (u32 j = 0; j < half_weights; ++j) {
    quants[j] = u8((block[6 + j] & 15) | (fifth >> j & 1) << 4);
    quants[j + half_weights] = u8(block[6 + j] >> 4 | (fifth >> (j + half_weights) & 1) << 4);
  }
}

void decode(const u8* blocks, u64 count, float* out) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    unpack(blocks, quants);
    for (u32 i = 0; i < block_weights; ++i) out[i] = d * float(quants[i] - 16);
  }
}

// The weight of largest magnitude becomes −16, whatever its sign; quants use the unrounded scale.
void encode(const float* weights, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    float extreme = 0;
    for (u32 i = 0; i < block_weights; ++i) {
      if (std::fabs(weights[i]) > std::fabs(extreme)) extreme = weights[i];
    }
    const float d = extreme / -16;
    const float inverse = std::fabs(d) >= 0x1p-126f ? 1 / d : 0;  // 1 / d must not overflow
    store_le(blocks, f32_to_f16(d));
    auto quant = [&](float weight) { return u32(std::min(31, int(weight * inverse + 16.5f))); };
    u32 fifth = 0;
    for (u32 j = 0; j < half_weights; ++j) {
      const u32 low = quant(weights[j]), high = quant(weights[j + half_weights]);
      blocks[6 + j] = u8((low & 15) | (high & 15) << 4);
      fifth |= low >> 4 << j | high >> 4 << (j + half_weights);
    }
    store_le(blocks + 2, fifth);
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    unpack(blocks, quants);
    pack_fours<4>(quants, block_weights, 0, planes[0] + b * half_weights);
    pack_fours<1>(quants, block_weights, 4, planes[1] + b * 4);
    std::memcpy(planes[2] + b * 2, blocks, 2);
  }
}

}  // namespace pronk::formats::q5_0
