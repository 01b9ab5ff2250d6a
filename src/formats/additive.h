// Additive quantization (AQLM, arXiv 2401.06118): a group of neighbouring weights of a row is the sum of one vector
// from each of a few code books, times the row's scale. A row holds for each group its codes, one a book; books and
// scales are tensors of their own. Hence a block is a group, and its codec needs more than its bytes.
#pragma once

#include <span>

#include "formats/format.h"

namespace pronk::formats {

struct AdditiveTables {
  const float* books = nullptr;   // [books][entries][group]
  const float* scales = nullptr;  // one a row
  u32 entries = 0;                // of a book, a power of two; codes count modulo it, and are signed in their files
  // In the place of books: each number as a whole multiple of step (round_books).
  const i16* steps = nullptr;
  float step = 0;
};

// books: [count][entries][group]; out: as many. Returns the step, for which a sum of one vector of each book fits 16
// bits; NaN where a number is not finite.
float round_books(std::span<const float> books, u32 count, i16* out);

// Of codes of a GGML type, one, two, four or eight books, groups of 8, 16 or 32; null when there is no such format.
const Format* find_additive(u32 code_type, u64 books, u64 group);
bool is_additive(const Format& format);
u32 additive_books(const Format& format);      // of such a format
u32 additive_code_bits(const Format& format);  // of a code in the file

// codes: count blocks; out: as many groups.
void decode_additive(const Format& format, const u8* codes, u64 count, const AdditiveTables& tables, u32 row,
                     float* out);

// On the GPU plane 0 has the codes as in the file, plane 1 the books as f16, plane 2 a float32 for
// each row. book_weights: numbers in all books.
GpuExtent additive_extent(const Format& format, u64 rows, u64 row_weights, u64 book_weights);

}  // namespace pronk::formats
