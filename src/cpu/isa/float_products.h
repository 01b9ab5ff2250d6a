// Products of weights as floats and activations as floats: of formats whose weights are floats, of those with no
// integer dot product, and of all when activations are kept as floats.

constexpr u32 float_panel_tokens = 4;  // from so many activations on, a panel is worth its filling
constexpr u32 float_panel_columns = unit_weights;
constexpr u32 float_panel_rows = float_vectors * sizeof(FloatLanes) / sizeof(float);

// The sum of vectors from code books (formats/additive.h) for eight weights of a group, from weight `part` of it on.
template <class Code>
PRONK_INLINE Floats8 sum_of_books(const Matrix& matrix, const u8* codes, u32 part) {
  const u32 group = matrix.format->block_weights, books = matrix.format->block_bytes / sizeof(Code);
  const u32 entries = matrix.tables.entries;
  const float* book = matrix.tables.books + part;
  Floats8 sum = {};
  for (u32 b = 0; b < books; ++b, book += u64(entries) * group) {
    const u32 entry = load_vector<Code>(codes + b * sizeof(Code)) & (entries - 1);
    sum += load_vector<Floats8>(book + u64(entry) * group);
  }
  return sum;
}

template <class Code>
PRONK_INLINE void decode_additive_floats(const Matrix& matrix, u32 row, u32 first, u32 count, float* out) {
  const u32 group = matrix.format->block_weights;
  const float scale = matrix.tables.scales[row];
  const u8* codes = matrix.bytes + row * matrix.row_bytes() + u64(first / group) * matrix.format->block_bytes;
  for (u32 k = 0; k < count; k += group, codes += matrix.format->block_bytes) {
    for (u32 part = 0; part < group; part += 8) {
      store_vector(out + k + part, scale * sum_of_books<Code>(matrix, codes, part));
    }
  }
}

// A piece of a row as floats, with zeros up to a whole vector.
template <class Dot>
void decode_floats(const Matrix& matrix, u32 row, u32 first, u32 count, float* out) {
  if constexpr (requires { Dot::weight_bytes; }) {
    const u8* at = matrix.bytes + row * matrix.row_bytes() + u64(first) * Dot::weight_bytes;
    u32 i = 0;
    for (; i + 8 <= count; i += 8) store_vector(out + i, Dot::floats(at + i * Dot::weight_bytes));
    if (i < count) {
      u8 last[8 * Dot::weight_bytes] = {};
      __builtin_memcpy(last, at + i * Dot::weight_bytes, (count - i) * Dot::weight_bytes);
      store_vector(out + i, Dot::floats(last));
    }
  } else if (matrix.tables.books) {
    if (formats::additive_code_bits(*matrix.format) == 8)
      return decode_additive_floats<u8>(matrix, row, first, count, out);
    decode_additive_floats<u16>(matrix, row, first, count, out);
  } else {
    decode_piece(matrix, row, first, count, out);
    for (u32 i = count; i % 8 != 0; ++i) out[i] = 0;
  }
}

// A row whose weights need no decoding beyond a conversion, times one activation. finite: that it is one of finite
// numbers only `seen` says.
template <class Dot, bool finite>
PRONK_INLINE float multiply_row(const Matrix& matrix, u32 n, const float* x, Lanes<u16, 8>& seen) {
  const u8* row = matrix.bytes + n * matrix.row_bytes();
  const u32 whole = matrix.cols / 8 * 8;
  const auto product = [&](u32 k, const Floats8& sum) {
    const u8* at = row + u64(k) * Dot::weight_bytes;
    if constexpr (finite) return multiply_add(Dot::finite_floats(at, seen), load_vector<Floats8>(x + k), sum);
    return multiply_add(Dot::floats(at), load_vector<Floats8>(x + k), sum);
  };
  Floats8 sums[4] = {};
  u32 k = 0;
  for (; k + 32 <= whole; k += 32) {
    for (u32 i = 0; i < 4; ++i) sums[i] = product(k + 8 * i, sums[i]);
  }
  for (; k < whole; k += 8) sums[0] = product(k, sums[0]);
  if (k < matrix.cols) {
    alignas(64) float last[8];
    decode_floats<Dot>(matrix, n, k, matrix.cols - k, last);
    sums[1] = multiply_add(load_vector<Floats8>(last), load_vector<Floats8>(x + k), sums[1]);
  }
  return sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <class Dot>
PRONK_INLINE void multiply_one(const Matrix& matrix, RowRange range, const float* x, const float* bias, float* out) {
  constexpr bool halves = requires(const u8* at, Lanes<u16, 8>& seen) { Dot::finite_floats(at, seen); };
  for (u32 n = range.first; n < range.end; ++n) {
    Lanes<u16, 8> seen = {};
    float product = multiply_row<Dot, halves>(matrix, n, x, seen);
    if (halves && !all_finite(seen)) product = multiply_row<Dot, false>(matrix, n, x, seen);
    out[n] = product + (bias ? bias[n] : 0);
  }
}

// ---- Few activations: row by row

using DecodeFloats = void(const Matrix& matrix, u32 row, u32 first, u32 count, float* out);  // as decode_floats

// Each row is decoded once for all activations.
void multiply_by_decoded_rows(DecodeFloats* decode, const Matrix& matrix, RowRange range, Rows<const float> x,
                              const float* bias, Rows<float> out) {
  alignas(64) float row[piece_weights];
  for (u32 n = range.first; n < range.end; ++n) {
    for (u32 t = 0; t < x.count; ++t) out[t][n] = bias ? bias[n] : 0;
    for (u32 first = 0; first < matrix.cols; first += piece_weights) {
      const u32 count = matrix.cols - first < piece_weights ? matrix.cols - first : piece_weights;
      decode(matrix, n, first, count, row);
      for (u32 t = 0; t < x.count; ++t) out[t][n] += dot_floats(row, x[t] + first, count);
    }
  }
}

// ---- Many: panels

// Some columns of as many rows of weights as there are lanes, a column in float_vectors vectors.
using FloatPanel = float[float_panel_columns][float_panel_rows];

// Eight columns of eight rows, those of `from` float_panel_columns apart, into a panel.
PRONK_INLINE void transpose8(const float* from, float* to) {
  Floats8 pairs[8], fours[8];
  for (u32 i = 0; i < 8; i += 2) {
    const Floats8 a = load_vector<Floats8>(from + i * float_panel_columns);
    const Floats8 b = load_vector<Floats8>(from + (i + 1) * float_panel_columns);
    pairs[i] = __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[i + 1] = __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (u32 i = 0; i < 8; ++i) {
    const Floats8 a = pairs[i / 4 * 4 + i % 4 / 2], b = pairs[i / 4 * 4 + i % 4 / 2 + 2];
    fours[i] = i % 2 == 0 ? __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
                          : __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (u32 i = 0; i < 4; ++i) {  // columns i and i + 4 of rows 0 to 3, of rows 4 to 7
    store_vector(to + i * float_panel_rows, __builtin_shufflevector(fours[i], fours[i + 4], 0, 1, 2, 3, 8, 9, 10, 11));
    store_vector(to + (i + 4) * float_panel_rows,
                 __builtin_shufflevector(fours[i], fours[i + 4], 4, 5, 6, 7, 12, 13, 14, 15));
  }
}

// Rows from n on. What lanes have that stand for no row is of no meaning.
void fill_float_panel(DecodeFloats* decode, const Matrix& matrix, u32 n, u32 rows, u32 first, u32 count,
                      FloatPanel& panel) {
  alignas(64) float decoded[8][float_panel_columns] = {};
  for (u32 r = 0; r < float_panel_rows; r += 8) {
    for (u32 i = 0; i < 8 && r + i < rows; ++i) decode(matrix, n + r + i, first, count, decoded[i]);
    for (u32 k = 0; k < count; k += 8) transpose8(&decoded[0][k], &panel[k][r]);
  }
}

// sums[j] += Σ_k panel[k] · x[j][k] for k < count
PRONK_INLINE void add_float_tile(const FloatPanel& panel, const float* const* x, u32 count,
                                 FloatLanes (&sums)[float_tokens][float_vectors]) {
  for (u32 k = 0; k < count; ++k) {
    FloatLanes weights[float_vectors];
    __builtin_memcpy(weights, panel[k], sizeof weights);
    for (u32 j = 0; j < float_tokens; ++j) {
      const FloatLanes activation = FloatLanes(x[j][k]);
      for (u32 i = 0; i < float_vectors; ++i) sums[j][i] = multiply_add(weights[i], activation, sums[j][i]);
    }
  }
}

// out[t][n + r] += panel · x for the activations from t on that one tile holds. Where fewer are left, the last one
// stands in for the others.
void multiply_float_tile(const FloatPanel& panel, Rows<const float> x, u32 t, u32 first, u32 count, Rows<float> out,
                         u32 n, u32 rows) {
  const u32 tokens = x.count - t < float_tokens ? x.count - t : float_tokens;
  alignas(64) float edge[float_tokens][float_panel_rows] = {};
  const float* x_rows[float_tokens];
  float* to[float_tokens];
  for (u32 j = 0; j < float_tokens; ++j) {
    x_rows[j] = x[t + (j < tokens ? j : tokens - 1)] + first;
    to[j] = j < tokens && rows == float_panel_rows ? out[t + j] + n : edge[j];
    for (u32 r = 0; j < tokens && to[j] == edge[j] && r < rows; ++r) edge[j][r] = out[t + j][n + r];
  }
  FloatLanes sums[float_tokens][float_vectors];
  for (u32 j = 0; j < float_tokens; ++j) __builtin_memcpy(sums[j], to[j], sizeof sums[j]);
  add_float_tile(panel, x_rows, count, sums);
  for (u32 j = 0; j < float_tokens; ++j) {
    __builtin_memcpy(to[j], sums[j], sizeof sums[j]);
    for (u32 r = 0; j < tokens && to[j] == edge[j] && r < rows; ++r) out[t + j][n + r] = edge[j][r];
  }
}

void multiply_by_float_panels(DecodeFloats* decode, const Matrix& matrix, RowRange range, Rows<const float> x,
                              const float* bias, Rows<float> out) {
  alignas(64) FloatPanel panel;
  for (u32 n = range.first; n < range.end; n += float_panel_rows) {
    const u32 rows = range.end - n < float_panel_rows ? range.end - n : float_panel_rows;
    for (u32 t = 0; t < x.count; ++t) {
      for (u32 r = 0; r < rows; ++r) out[t][n + r] = bias ? bias[n + r] : 0;
    }
    for (u32 first = 0; first < matrix.cols; first += float_panel_columns) {
      const u32 count = matrix.cols - first < float_panel_columns ? matrix.cols - first : float_panel_columns;
      fill_float_panel(decode, matrix, n, rows, first, count, panel);
      for (u32 t = 0; t < x.count; t += float_tokens) multiply_float_tile(panel, x, t, first, count, out, n, rows);
    }
  }
}

template <class Dot>
void multiply_floats(const Matrix& matrix, RowRange range, Rows<const float> x, const float* bias, Rows<float> out) {
  if constexpr (requires { Dot::weight_bytes; }) {
    if (x.count == 1) return multiply_one<Dot>(matrix, range, x[0], bias, out[0]);
  }
  const auto multiply = x.count < float_panel_tokens ? multiply_by_decoded_rows : multiply_by_float_panels;
  multiply(decode_floats<Dot>, matrix, range, x, bias, out);
}
