// IQ2_XS: 256 weights in 32 points of a book: a weight is ±d · (s + 1/2) / 4 · value(c) with c the point's coordinate
// and s of 16 weights. In the file an f16 d; 16 bits a point: 9 with its number, 7 with seven signs (code_books.h); 8
// bytes with the s in nibbles, the lower first.
// On the GPU plane 0 has the points, plane 1 has the s, plane 2 has d.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/code_books.h"

namespace pronk::formats::iq2_xs {

constexpr u32 units = 32;
constexpr u32 block_bytes = 74;
constexpr u8 values[] = {8, 25, 43, 0};

void decode(const u8* blocks, u64 count, float* out) {
  const std::span<const u32> book = eights_512();
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    for (u32 u = 0; u < units; ++u, out += 8) {
      const u32 code = load_le<u16>(blocks + 2 + 2 * u);
      const float scale = d * (float(blocks[66 + u / 4] >> u / 2 % 2 * 4 & 15) + 0.5f) * 0.25f;
      decode_point(book_point(book, code & 511), 8, values, eight_signs(code >> 9), scale, out);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    std::memcpy(planes[0] + b * 64, blocks + 2, 64);
    std::memcpy(planes[1] + b * 8, blocks + 66, 8);
    std::memcpy(planes[2] + b * 2, blocks, 2);
  }
}

std::span<const u32> gpu_table() {
  static const auto words = point_bytes<512, 8>(eights_512(), values, 128);
  return words;
}

}  // namespace pronk::formats::iq2_xs
