// Products of weights as floats and activations as floats: of formats whose weights are floats, of those with no
// integer dot product, and of all when activations are kept as floats.

constexpr u32 float_rows = 4;    // rows of weights that share each load of an activation
constexpr u32 float_tokens = 4;  // activations that share each load of a weight

using FloatTile = float[float_rows][piece_weights];

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

// Rows of codes times one activation, without a copy of the weights.
template <class Code>
void multiply_one_additive(const Matrix& matrix, RowRange range, const float* x, const float* bias, float* out) {
  const u32 group = matrix.format->block_weights, block = matrix.format->block_bytes;
  const u64 row_bytes = matrix.row_bytes();
  for (u32 n = range.first; n < range.end; n += float_rows) {
    const u8* codes[float_rows];
    for (u32 r = 0; r < float_rows; ++r) {
      codes[r] = matrix.bytes + (n + r < range.end ? n + r : range.end - 1) * row_bytes;
    }
    Floats8 sums[float_rows] = {};
    for (u32 k = 0, at = 0; k < matrix.cols; k += group, at += block) {
      for (u32 part = 0; part < group; part += 8) {
        const Floats8 activations = load_vector<Floats8>(x + k + part);
        for (u32 r = 0; r < float_rows; ++r) sums[r] += sum_of_books<Code>(matrix, codes[r] + at, part) * activations;
      }
    }
    for (u32 r = 0; r < float_rows && n + r < range.end; ++r) {
      out[n + r] = matrix.tables.scales[n + r] * sum_of(sums[r]) + (bias ? bias[n + r] : 0);
    }
  }
}

// A piece of a row as floats, with zeros up to a whole vector.
template <class Dot>
PRONK_INLINE void decode_floats(const Matrix& matrix, u32 row, u32 first, u32 count, float* out) {
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

// out[t][r] += Σ_k w[r][k] · x[t][k] for k < length, whole vectors.
template <u32 tokens>
PRONK_INLINE void add_floats(const FloatTile& w, const float* x, u64 stride, u32 length, u32 rows, Rows<float> out,
                             u32 t, u32 n) {
  Floats8 sums[tokens][float_rows] = {};
  for (u32 k = 0; k < length; k += 8) {
    Floats8 weights[float_rows];
    for (u32 r = 0; r < float_rows; ++r) weights[r] = load_vector<Floats8>(w[r] + k);
    for (u32 j = 0; j < tokens; ++j) {
      const Floats8 activations = load_vector<Floats8>(x + j * stride + k);
      for (u32 r = 0; r < float_rows; ++r) sums[j][r] += weights[r] * activations;
    }
  }
  for (u32 j = 0; j < tokens; ++j) {
    for (u32 r = 0; r < rows; ++r) out[t + j][n + r] += sum_of(sums[j][r]);
  }
}

// Rows whose weights are read once and need no decoding beyond a conversion, times one activation.
template <class Dot>
PRONK_INLINE void multiply_one(const Matrix& matrix, RowRange range, const float* x, const float* bias, float* out) {
  const u64 row_bytes = matrix.row_bytes();
  const u32 whole = matrix.cols / 8 * 8;
  for (u32 n = range.first; n < range.end; ++n) {
    const u8* row = matrix.bytes + n * row_bytes;
    Floats8 sums[4] = {};
    u32 k = 0;
    for (; k + 32 <= whole; k += 32) {
      for (u32 i = 0; i < 4; ++i) {
        sums[i] += Dot::floats(row + (k + 8 * i) * Dot::weight_bytes) * load_vector<Floats8>(x + k + 8 * i);
      }
    }
    for (; k < whole; k += 8) sums[0] += Dot::floats(row + k * Dot::weight_bytes) * load_vector<Floats8>(x + k);
    if (k < matrix.cols) {
      alignas(64) float last[8];
      decode_floats<Dot>(matrix, n, k, matrix.cols - k, last);
      sums[1] += load_vector<Floats8>(last) * load_vector<Floats8>(x + k);
    }
    out[n] = sum_of((sums[0] + sums[1]) + (sums[2] + sums[3])) + (bias ? bias[n] : 0);
  }
}

template <class Dot>
void multiply_many(const Matrix& matrix, RowRange range, Rows<const float> x, const float* bias, Rows<float> out) {
  alignas(64) FloatTile tile = {};
  for (u32 n = range.first; n < range.end; n += float_rows) {
    const u32 rows = range.end - n < float_rows ? range.end - n : float_rows;
    for (u32 t = 0; t < x.count; ++t) {
      for (u32 r = 0; r < rows; ++r) out[t][n + r] = bias ? bias[n + r] : 0;
    }
    for (u32 first = 0; first < matrix.cols; first += piece_weights) {
      const u32 count = matrix.cols - first < piece_weights ? matrix.cols - first : piece_weights;
      const u32 length = (count + 7) / 8 * 8;
      for (u32 r = 0; r < rows; ++r) decode_floats<Dot>(matrix, n + r, first, count, tile[r]);
      u32 t = 0;
      for (; t + float_tokens <= x.count; t += float_tokens) {
        add_floats<float_tokens>(tile, x[t] + first, x.stride, length, rows, out, t, n);
      }
      for (; t < x.count; ++t) add_floats<1>(tile, x[t] + first, x.stride, length, rows, out, t, n);
    }
  }
}

template <class Dot>
void multiply_floats(const Matrix& matrix, RowRange range, Rows<const float> x, const float* bias, Rows<float> out) {
  if constexpr (requires { Dot::weight_bytes; }) {
    if (x.count == 1) return multiply_one<Dot>(matrix, range, x[0], bias, out[0]);
  } else if (x.count == 1 && matrix.tables.books) {
    const auto multiply =
        formats::additive_code_bits(*matrix.format) == 8 ? multiply_one_additive<u8> : multiply_one_additive<u16>;
    return multiply(matrix, range, x[0], bias, out[0]);
  }
  multiply_many<Dot>(matrix, range, x, bias, out);
}
