// IQ1_S: 256 weights in 8 groups of 32, four points of a book to a group: a weight is d · (2s + 1) · (c − 1 ± 1/8)
// with c the point's coordinate. In the file an f16 d; 32 bytes with the lower 8 bits of the points' numbers; 8 times
// 16 bits with their upper 3 bits (four points, the first lowest), s (3 bits), and a bit that is set where 1/8 is
// taken off.
// On the GPU plane 0 has the 32 bytes, plane 1 the 8 · 16 bits, plane 2 has d.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/code_books.h"

namespace pronk::formats::iq1_s {

constexpr u32 units = 32;
constexpr u32 block_bytes = 50;

void decode(const u8* blocks, u64 count, float* out) {
  const std::span<const u32> book = eights_2048();
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    const float d = f16_to_f32(load_le<u16>(blocks));
    for (u32 u = 0; u < units; ++u) {
      const u32 group = load_le<u16>(blocks + 34 + u / 4 * 2);
      const float scale = d * float(2 * (group >> 12 & 7) + 1);
      const float shift = group & 0x8000 ? -1.125f : -0.875f;
      const u32 point = book_point(book, blocks[2 + u] | (group >> u % 4 * 3 & 7) << 8);
      for (u32 i = 0; i < 8; ++i) *out++ = scale * (float(point >> 2 * i & 3) + shift);
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    std::memcpy(planes[0] + b * 32, blocks + 2, 32);
    std::memcpy(planes[1] + b * 16, blocks + 34, 16);
    std::memcpy(planes[2] + b * 2, blocks, 2);
  }
}

std::span<const u32> gpu_table() {
  constexpr u8 values[] = {0, 1, 2, 0};
  static const auto words = point_bytes<2048, 8>(eights_2048(), values, 0);
  return words;
}

}  // namespace pronk::formats::iq1_s
