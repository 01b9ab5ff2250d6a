// Products of sums of vectors from code books (formats/additive.h) and 8-bit activations. The books are 16-bit
// integers, so that eight weights are one addition a book more, and their products with the activations one
// instruction.

using Words8 = Lanes<i16, 8>;

// A row's codes as weights. Zero for what is only known when it runs.
template <class CodeType, u32 fixed_books, u32 fixed_group>
struct AdditiveRow {
  using Code = CodeType;
  const i16* steps;
  u32 entries, books, group;

  explicit AdditiveRow(const Matrix& matrix)
      : steps(matrix.tables.steps),
        entries(fixed_books ? 1u << 8 * sizeof(Code) : matrix.tables.entries),
        books(fixed_books ? fixed_books : matrix.format->block_bytes / sizeof(Code)),
        group(fixed_group ? fixed_group : matrix.format->block_weights) {}

  // Weights k to k + 8 of those that begin at `codes`, as multiples of the step.
  PRONK_INLINE Words8 words(const u8* codes, u32 k) const {
    const u8* at = codes + k / group * books * sizeof(Code);
    const i16* book = steps + k % group;
    Words8 sum = {};
    for (u32 b = 0; b < books; ++b, book += u64(entries) * group) {
      const u32 entry = load_vector<Code>(at + b * sizeof(Code)) & (entries - 1);
      sum += load_vector<Words8>(book + u64(entry) * group);
    }
    return sum;
  }
  PRONK_INLINE u64 bytes(u32 weights) const { return u64(weights / group) * books * sizeof(Code); }
};

PRONK_INLINE Words8 words_at(const Quant* x) {
  return __builtin_convertvector(load_vector<Lanes<Quant, 8>>(x), Words8);
}

// ---- Few activations: row by row

template <class Row>
PRONK_INLINE float additive_product(const Row& row, const u8* codes, const Quant* quants, const float* scales,
                                    u32 blocks) {
  Floats4 sums = {};
  for (u32 b = 0; b < blocks; ++b, codes += row.bytes(quant_block), quants += quant_block) {
    Lanes<i32, 4> dots = {};
    for (u32 k = 0; k < quant_block; k += 8) dots = add_pairs(dots, row.words(codes, k), words_at(quants + k));
    sums += __builtin_convertvector(dots, Floats4) * scales[b];
  }
  return sum_of(sums);
}

// ---- Many: panels (integer_products.h)

struct AdditivePanel {
  static constexpr u32 weights = 512;                 // of each row
  alignas(64) i16 words[weights / 2][panel_rows][2];  // columns 2i and 2i + 1 of every row
  alignas(64) float scales[panel_rows];
};

// `parts` times 32 weights of `rows` rows from row n on; missing rows are zeros.
template <class Row>
void fill_additive_panel(const Row& row, const Matrix& matrix, u32 n, u32 rows, u32 first, u32 parts,
                         AdditivePanel& panel) {
  if (rows < panel_rows) panel = {};
  for (u32 r = 0; r < rows; ++r) {
    const u8* codes = matrix.bytes + (n + r) * matrix.row_bytes() + row.bytes(first);
    for (u32 k = 0; k < parts * quant_block; k += 8) {
      const Words8 words = row.words(codes, k);
      for (u32 i = 0; i < 4; ++i) {
        __builtin_memcpy(panel.words[k / 2 + i][r], reinterpret_cast<const i16*>(&words) + 2 * i, 2 * sizeof(i16));
      }
    }
    panel.scales[r] = matrix.tables.scales[n + r] * matrix.tables.step;
  }
}

using PanelWords = Lanes<i16, 2 * panel_rows>;

template <u32 tokens>
PRONK_INLINE void add_tile(const AdditivePanel& panel, u32 parts, const QuantizedRows& x, u32 t, u32 first,
                           PanelFloats* sums) {
  const Quant* quants = quants_of(x, t) + first;
  const float* x_scales = x.scales + u64(t) * x.blocks() + first / quant_block;
  PanelFloats products[tokens] = {};
  for (u32 p = 0; p < parts; ++p) {
    PanelInts dots[tokens] = {};
    for (u32 k = p * quant_block; k < (p + 1) * quant_block; k += 8) {
      Lanes<i32, 4> pairs[tokens];
      for (u32 j = 0; j < tokens; ++j) pairs[j] = Lanes<i32, 4>(words_at(quants + u64(j) * x.stride + k));
#pragma unroll
      for (u32 i = 0; i < 4; ++i) {
        const PanelWords weights = load_vector<PanelWords>(panel.words[k / 2 + i]);
#pragma unroll
        for (u32 j = 0; j < tokens; ++j) dots[j] = add_pairs(dots[j], weights, PanelWords(PanelInts(pairs[j][i])));
      }
    }
    for (u32 j = 0; j < tokens; ++j) {
      products[j] += __builtin_convertvector(dots[j], PanelFloats) * x_scales[j * x.blocks() + p];
    }
  }
  for (u32 j = 0; j < tokens; ++j) sums[j] += products[j] * load_vector<PanelFloats>(panel.scales);
}

// ---- A run of rows

template <class Code, u32 fixed_books, u32 fixed_group>
void multiply_additive_as(const Matrix& matrix, RowRange range, const QuantizedRows& x, const float* bias,
                          Rows<float> out) {
  const AdditiveRow<Code, fixed_books, fixed_group> row(matrix);
  if (x.count < panel_tokens) {
    for (u32 t = 0; t < x.count; ++t) {
      for (u32 n = range.first; n < range.end; ++n) {
        const u8* codes = matrix.bytes + n * matrix.row_bytes();
        const float product =
            additive_product(row, codes, quants_of(x, t), x.scales + u64(t) * x.blocks(), matrix.cols / quant_block);
        out[t][n] = matrix.tables.scales[n] * matrix.tables.step * product + (bias ? bias[n] : 0);
      }
    }
    return;
  }
  multiply_by_panels<AdditivePanel>(matrix, range, x, bias, out,
                                    [&](u32 n, u32 rows, u32 first, u32 parts, AdditivePanel& panel) {
                                      fill_additive_panel(row, matrix, n, rows, first, parts, panel);
                                    });
}

// The published models' kinds have code of their own.
void multiply_additive(const Matrix& matrix, RowRange range, const QuantizedRows& x, const float* bias,
                       Rows<float> out) {
  const u32 bits = formats::additive_code_bits(*matrix.format), books = formats::additive_books(*matrix.format);
  const bool eights = matrix.format->block_weights == 8 && matrix.tables.entries == 1u << bits;
  const auto multiply = eights && bits == 8 && books == 2    ? multiply_additive_as<u8, 2, 8>
                        : eights && bits == 16 && books == 1 ? multiply_additive_as<u16, 1, 8>
                        : bits == 8                          ? multiply_additive_as<u8, 0, 0>
                                                             : multiply_additive_as<u16, 0, 0>;
  multiply(matrix, range, x, bias, out);
}
