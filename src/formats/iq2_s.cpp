// IQ2_S: 256 weights in 32 points of a book: a weight is ±d · (s + 1/2) / 4 · value(c) with c the point's coordinate
// and s of 16 weights. In the file an f16 d; 32 bytes with the lower 8 bits of the points' numbers; 32 bytes with
// their signs; 8 bytes with their upper 2 bits; 8 bytes with the s in nibbles; of a byte the lower bits come first.
// On the GPU plane 0 has a point's lower bits and its signs side by side, plane 1 the upper bits of four points and
// their two s side by side, plane 2 has d.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/code_books.h"

namespace pronk::formats::iq2_s {

constexpr u32 units = 32;
constexpr u32 groups = 8;
constexpr u32 block_bytes = 82;
constexpr u8 values[] = {8, 25, 43, 0};

void decode(const u8* blocks, u64 count, float* out) {
  const std::span<const u32> book = eights_1024();
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    for (u32 u = 0; u < units; ++u, out += 8) {
      const u32 index = blocks[2 + u] | (blocks[66 + u / 4] >> u % 4 * 2 & 3) << 8;
      const float scale = d * (float(blocks[74 + u / 4] >> u / 2 % 2 * 4 & 15) + 0.5f) * 0.25f;
      decode_point(book_point(book, index), 8, values, blocks[34 + u], scale, out);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    for (u32 u = 0; u < units; ++u) {
      planes[0][b * 64 + 2 * u] = blocks[2 + u];
      planes[0][b * 64 + 2 * u + 1] = blocks[34 + u];
    }
    for (u32 g = 0; g < groups; ++g) {
      planes[1][b * 16 + 2 * g] = blocks[66 + g];
      planes[1][b * 16 + 2 * g + 1] = blocks[74 + g];
    }
    std::memcpy(planes[2] + b * 2, blocks, 2);
  }
}

std::span<const u32> gpu_table() {
  static const auto words = point_bytes<1024, 8>(eights_1024(), values, 128);
  return words;
}

}  // namespace pronk::formats::iq2_s
