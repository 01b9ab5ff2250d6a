// IQ3_S: 256 weights in 8 groups of 32, eight points of a book to a group: a weight is ±d · (2s + 1) · (2c + 1) with c
// the point's coordinate. In the file an f16 d; 64 bytes with the lower 8 bits of the points' numbers; 8 bytes with
// their upper bits; 32 bytes with a sign a weight; 4 bytes with the s in nibbles; of a byte the lower bits come first.
// On the GPU plane 0 has the 64 bytes, plane 1 the signs, plane 2 the upper bits and the s, plane 3 has d.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/code_books.h"

namespace pronk::formats::iq3_s {

constexpr u32 units = 32;
constexpr u32 block_bytes = 110;
constexpr u8 values[] = {1, 3, 5, 7, 9, 11, 13, 15, 0, 0, 0, 0, 0, 0, 0, 0};

void decode(const u8* blocks, u64 count, float* out) {
  const std::span<const u32> book = fours_512();
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    for (u32 u = 0; u < units; ++u, out += 8) {
      const u32 upper = blocks[66 + u / 4] >> u % 4 * 2;
      const float scale = d * float(2 * (blocks[106 + u / 8] >> u / 4 % 2 * 4 & 15) + 1);
      const u32 signs = blocks[74 + u];
      decode_point(book_point(book, blocks[2 + 2 * u] | (upper & 1) << 8), 4, values, signs, scale, out);
      decode_point(book_point(book, blocks[3 + 2 * u] | (upper & 2) << 7), 4, values, signs >> 4, scale, out + 4);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    std::memcpy(planes[0] + b * 64, blocks + 2, 64);
    std::memcpy(planes[1] + b * 32, blocks + 74, 32);
    std::memcpy(planes[2] + b * 12, blocks + 66, 8);
    std::memcpy(planes[2] + b * 12 + 8, blocks + 106, 4);
    std::memcpy(planes[3] + b * 2, blocks, 2);
  }
}

std::span<const u32> gpu_table() {
  static const auto words = point_bytes<512, 4>(fours_512(), values, 128);
  return words;
}

}  // namespace pronk::formats::iq3_s
