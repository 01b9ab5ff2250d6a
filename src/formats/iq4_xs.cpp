// IQ4_XS: 256 weights in 8 groups of 32, each d · (s − 32) · value(code) with sixteen unevenly spaced values. In the
// file an f16 d; 16 bits with the upper 2 bits of each group's s; 4 bytes with the lower 4 bits; then 16 bytes of
// codes a group, byte j with that of weight j in its low nibble and that of weight j + 16 in its high one.
// On the GPU plane 0 has a word for each eight weights (nibbles.h), plane 1 the 8 bytes of scales.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/nibbles.h"

namespace pronk::formats::iq4_xs {

constexpr u32 block_weights = 256;
constexpr u32 groups = 8;
constexpr u32 head_bytes = 8;
constexpr u32 block_bytes = head_bytes + block_weights / 2;
constexpr i8 values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    const u32 upper = load_le<u16>(blocks + 2);
    const u32 lower = load_le<u32>(blocks + 4);
    for (u32 g = 0; g < groups; ++g, out += 32) {
      const u32 scale = (lower >> 4 * g & 15) | (upper >> 2 * g & 3) << 4;
      decode_nibbles(blocks + head_bytes + 16 * g, 16, values, d * float(int(scale) - 32), out);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    for (u32 g = 0; g < groups; ++g) {
      repack_nibbles(blocks + head_bytes + 16 * g, 16, planes[0] + b * (block_weights / 2) + 16 * g);
    }
    std::memcpy(planes[1] + b * head_bytes, blocks, head_bytes);
  }
}

}  // namespace pronk::formats::iq4_xs
