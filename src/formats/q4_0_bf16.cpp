// Q4_0_BF16: 32 weights as d · (n − 8) like those of the file type that it is named after, with d in bfloat16: what
// MLC's q4f32_1 holds, whose scales reach beyond f16. A type of pronk's own.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/nibbles.h"

namespace pronk::formats::q4_0_bf16 {

constexpr u32 block_weights = 32, half_weights = block_weights / 2, block_bytes = 2 + half_weights;

void decode(const u8* blocks, u64 count, float* out) {
  constexpr i8 values[] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
  for (u64 b = 0; b < count; ++b, blocks += block_bytes, out += block_weights) {
    decode_nibbles(blocks + 2, half_weights, values, bf16_to_f32(load_le<u16>(blocks)), out);
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    repack_nibbles(blocks + 2, half_weights, planes[0] + b * half_weights);
    std::memcpy(planes[1] + b * 2, blocks, 2);
  }
}

}  // namespace pronk::formats::q4_0_bf16
