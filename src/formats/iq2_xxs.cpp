// IQ2_XXS: 256 weights in 8 groups of 32, four points of a book to a group: a weight is ±d · (s + 1/2) / 4 · value(c)
// with c the point's coordinate. In the file an f16 d, then 8 bytes a group: four bytes with the points' numbers, and
// a word with seven signs a point (code_books.h) and s in the upper 4 bits.
// On the GPU plane 0 has the groups, plane 1 has d.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/code_books.h"

namespace pronk::formats::iq2_xxs {

constexpr u32 units = 32;
constexpr u32 block_bytes = 66;
constexpr u8 values[] = {8, 25, 43, 0};

void decode(const u8* blocks, u64 count, float* out) {
  const std::span<const u32> book = eights_256();
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    for (u32 u = 0; u < units; ++u, out += 8) {
      const u8* group = blocks + 2 + u / 4 * 8;
      const u32 signs = load_le<u32>(group + 4);
      const float scale = d * (float(signs >> 28) + 0.5f) * 0.25f;
      decode_point(book_point(book, group[u % 4]), 8, values, eight_signs(signs >> u % 4 * 7 & 127), scale, out);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    std::memcpy(planes[0] + b * 64, blocks + 2, 64);
    std::memcpy(planes[1] + b * 2, blocks, 2);
  }
}

std::span<const u32> gpu_table() {
  static const auto words = point_bytes<256, 8>(eights_256(), values, 128);
  return words;
}

}  // namespace pronk::formats::iq2_xxs
