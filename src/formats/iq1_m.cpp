// IQ1_M: 256 weights in 32 points of a book: a weight is d · (2s + 1) · (c − 1 ± 1/8) with c the point's coordinate
// and s of 16 weights. In the file 32 bytes with the lower 8 bits of the points' numbers; 16 bytes with a nibble a
// point: the upper 3 bits, and a bit that is set where 1/8 is taken off; 4 times 16 bits with four s of 3 bits each
// and, on top, four bits of d (f16), the lowest first.
// On the GPU the three are planes 0, 1 and 2.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/code_books.h"

namespace pronk::formats::iq1_m {

constexpr u32 units = 32;
constexpr u32 block_bytes = 56;

void decode(const u8* blocks, u64 count, float* out) {
  const std::span<const u32> book = eights_2048();
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    const u64 scales = load_le<u64>(blocks + 48);
    u32 half = 0;
    for (u32 part = 0; part < 4; ++part) half |= u32(scales >> (16 * part + 12) & 15) << 4 * part;
    const float d = f16_to_f32(u16(half));
    for (u32 u = 0; u < units; ++u) {
      const u32 nibble = blocks[32 + u / 2] >> u % 2 * 4;
      const float scale = d * float(2 * u32(scales >> (u / 8 * 16 + u / 2 % 4 * 3) & 7) + 1);
      const float shift = nibble & 8 ? -1.125f : -0.875f;
      const u32 point = book_point(book, blocks[u] | (nibble & 7) << 8);
      for (u32 i = 0; i < 8; ++i) *out++ = scale * (float(point >> 2 * i & 3) + shift);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    std::memcpy(planes[0] + b * 32, blocks, 32);
    std::memcpy(planes[1] + b * 16, blocks + 32, 16);
    std::memcpy(planes[2] + b * 8, blocks + 48, 8);
  }
}

std::span<const u32> gpu_table() {
  constexpr u8 values[] = {0, 1, 2, 0};
  static const auto words = point_bytes<2048, 8>(eights_2048(), values, 0);
  return words;
}

}  // namespace pronk::formats::iq1_m
