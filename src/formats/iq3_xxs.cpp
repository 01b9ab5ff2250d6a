// IQ3_XXS: 256 weights in 8 groups of 32, eight points of a book to a group: a weight is ±d · (s + 1/2) / 2 · value(c)
// with c the point's coordinate. In the file an f16 d; 64 bytes with the points' numbers; a word a group with seven
// signs for each eight weights (code_books.h) and s in the upper 4 bits.
// On the GPU plane 0 has the 64 bytes, plane 1 the words, plane 2 has d.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/code_books.h"

namespace pronk::formats::iq3_xxs {

constexpr u32 units = 32;
constexpr u32 block_bytes = 98;
constexpr u8 values[] = {4, 12, 20, 28, 36, 44, 52, 62, 0, 0, 0, 0, 0, 0, 0, 0};

void decode(const u8* blocks, u64 count, float* out) {
  const std::span<const u32> book = fours_256();
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    for (u32 u = 0; u < units; ++u, out += 8) {
      const u32 group = load_le<u32>(blocks + 66 + u / 4 * 4);
      const float scale = d * (float(group >> 28) + 0.5f) * 0.5f;
      const u32 signs = eight_signs(group >> u % 4 * 7 & 127);
      decode_point(book_point(book, blocks[2 + 2 * u]), 4, values, signs, scale, out);
      decode_point(book_point(book, blocks[3 + 2 * u]), 4, values, signs >> 4, scale, out + 4);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    std::memcpy(planes[0] + b * 64, blocks + 2, 64);
    std::memcpy(planes[1] + b * 32, blocks + 66, 32);
    std::memcpy(planes[2] + b * 2, blocks, 2);
  }
}

std::span<const u32> gpu_table() {
  static const auto words = point_bytes<256, 4>(fours_256(), values, 128);
  return words;
}

}  // namespace pronk::formats::iq3_xxs
