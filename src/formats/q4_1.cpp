// Q4_1: 32 weights as d · n + m; in the file f16 d and m, then 16 bytes: byte j has weight j in its low nibble and
// weight j + 16 in its high one.
// On the GPU plane 0 has the nibbles (four words a block, pack.h), plane 1 a word with d and m.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/fit.h"
#include "formats/pack.h"

namespace pronk::formats::q4_1 {

constexpr u32 block_weights = 32;
constexpr u32 half_weights = block_weights / 2;
constexpr u32 block_bytes = 4 + half_weights;
constexpr u32 largest = 15;

static void unpack(const u8* block, u8* quants) {
  for (u32 j = 0; j < half_weights; ++j) {
    quants[j] = block[4 + j] & 15;
    quants[j + half_weights] = block[4 + j] >> 4;
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
    for (u32 j = 0; j < half_weights; ++j) blocks[4 + j] = u8(quants[j] | quants[j + half_weights] << 4);
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  u8 quants[block_weights];
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    unpack(blocks, quants);
    pack_fours<4>(quants, block_weights, 0, planes[0] + b * half_weights);
    std::memcpy(planes[1] + b * 4, blocks, 4);
  }
}

}  // namespace pronk::formats::q4_1
