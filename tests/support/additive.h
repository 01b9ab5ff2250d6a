// Random matrices in additive formats (formats/additive.h).
#pragma once

#include <random>
#include <vector>

#include "cpu/operations.h"
#include "formats/additive.h"

namespace pronk::test {

// A matrix in an additive format, and what it needs.
struct Additive {
  const formats::Format* format = nullptr;
  u64 rows = 0, cols = 0;
  u32 entries = 0;
  std::vector<u8> codes;
  std::vector<float> books, scales;

  cpu::Matrix matrix() const {
    return {.format = format,
            .bytes = codes.data(),
            .rows = u32(rows),
            .cols = u32(cols),
            .tables = {books.data(), scales.data(), entries}};
  }
  // As the paper has it, in double precision.
  double weight(u64 row, u64 col) const {
    const u64 group = format->block_weights, count = formats::additive_books(*format),
              width = formats::additive_code_bits(*format) / 8;
    double sum = 0;
    for (u64 book = 0; book < count; ++book) {
      const u8* at = codes.data() + ((row * (cols / group) + col / group) * count + book) * width;
      const u32 code = (at[0] | (width == 2 ? at[1] << 8 : 0)) % entries;
      sum += books[(book * entries + code) * group + col % group];
    }
    return sum * scales[row];
  }
};

inline Additive random_matrix(u32 type, u32 books, u32 group, u32 entries, u64 rows, u64 cols) {
  std::mt19937 random(books * 100 + group + entries);
  std::normal_distribution<float> normal;
  Additive m{.format = formats::find_additive(type, books, group), .rows = rows, .cols = cols, .entries = entries};
  m.codes.resize(rows * cols / group * m.format->block_bytes);
  for (u8& code : m.codes) code = u8(random());
  m.books.resize(u64(books) * entries * group);
  m.scales.resize(rows);
  for (float& number : m.books) number = normal(random);
  for (float& number : m.scales) number = normal(random);
  return m;
}

}  // namespace pronk::test
