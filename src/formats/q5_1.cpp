// Q5_1: 32 weights as d · n + m; in the file f16 d and m, a word whose bit i is the fifth bit of weight i, then 16
// bytes: byte j has the low bits of weight j in its low nibble and of weight j + 16 in its high one.
// On the GPU plane 0 has the nibbles (four words a block), plane 1 the fifth bits (a word), both as pack.h says; plane
// 2 has a word with d and m.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/fit.h"
#include "formats/pack.h"

namespace pronk::formats::q5_1 {

constexpr u32 block_weights = 32;
constexpr u32 half_weights = block_weights / 2;
constexpr u32 block_bytes = 4 + 4 + half_weights;
constexpr u32 largest = 31;

static void unpack(const u8* block, u8* quants) {
  const u32 fifth = load_le<u32>(block + 4);
  for (u32 j = 0; j < half_weights; ++j) {
    quants[j] = u8((block[8 + j] & 15) | (fifth >> j & 1) << 4);
    quants[j + half_weights] = u8(block[8 + j] >> 4 | (fifth >> (j + half_weights) & 1) << 4);
  }
}

void decode(const u8* blocks, u64 count, float* out) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    const float m = f16_to_f32(load_le<u16>(blocks + 2));
    unpack(blocks, quants);
    for (u32 i = 0; i < block_weights; ++i) out[i] = d * float(quants[i]) + m;
  }
}

void encode(const float* weights, u64 count, u8* blocks) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, weights += block_weights, blocks += block_bytes) {
    spread({weights, block_weights}, largest, blocks, quants);
    u32 fifth = 0;
    for (u32 i = 0; i < block_weights; ++i) fifth |= u32(quants[i] >> 4) << i;
    store_le(blocks + 4, fifth);
    for (u32 j = 0; j < half_weights; ++j) blocks[8 + j] = u8((quants[j] & 15) | quants[j + half_weights] << 4);
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    unpack(blocks, quants);
    pack_fours<4>(quants, block_weights, 0, planes[0] + b * half_weights);
    pack_fours<1>(quants, block_weights, 4, planes[1] + b * 4);
    std::memcpy(planes[2] + b * 4, blocks, 4);
  }
}

}  // namespace pronk::formats::q5_1
