// Code books of formats whose codes stand for several weights at once: fixed sets of points with small integer
// coordinates, facts of the GGUF format (ggml-common.h of ggml lists them). Each is made at first use and never freed.
#pragma once

#include <array>
#include <bit>
#include <span>

#include "base/types.h"

namespace pronk::formats {

// A word holds two points of 16 bits: the even one in the lower half; coordinate 0 is in the lowest bits.
std::span<const u32> eights_256();  // points of eight coordinates 0, 1, 2, two bits each
std::span<const u32> eights_512();
std::span<const u32> eights_1024();
std::span<const u32> eights_2048();
std::span<const u32> fours_256();  // points of four coordinates 0 … 7, four bits each
std::span<const u32> fours_512();

inline u32 book_point(std::span<const u32> book, u32 index) { return book[index / 2] >> index % 2 * 16 & 0xffff; }

// A book as kernels read it: a byte for each coordinate of each point, base + values[coordinate].
template <u32 points, u32 coordinates>
std::array<u32, points * coordinates / 4> point_bytes(std::span<const u32> book, const u8* values, u32 base) {
  std::array<u32, points * coordinates / 4> words{};
  constexpr u32 bits = 16 / coordinates;
  for (u32 i = 0; i < points * coordinates; ++i) {
    const u32 coordinate = book_point(book, i / coordinates) >> i % coordinates * bits & ((1u << bits) - 1);
    words[i / 4] |= (base + values[coordinate]) << i % 4 * 8;
  }
  return words;
}

// Signs of eight weights of which seven are stored: the number of minus signs is even.
inline u32 eight_signs(u32 seven) { return seven | (std::popcount(seven) & 1u) << 7; }

// out[i] = ± d · values[coordinate i] for a point of `count` coordinates; bit i of `signs` is a minus.
inline void decode_point(u32 point, u32 count, const u8* values, u32 signs, float d, float* out) {
  const u32 bits = 16 / count;
  for (u32 i = 0; i < count; ++i) {
    const float value = d * float(values[point >> bits * i & ((1u << bits) - 1)]);
    out[i] = signs >> i & 1 ? -value : value;
  }
}

}  // namespace pronk::formats
