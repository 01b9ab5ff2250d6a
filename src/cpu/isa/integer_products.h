// Products of quantized weights and quantized activations. Few activations: row by row, a row's weights unpacked in
// registers. Many: the weights of some rows are unpacked once into a panel, with the rows in the lanes of a vector.

constexpr u32 panel_tokens = 4;  // from so many activations on, a panel is worth its unpacking
// A row that is read once comes from memory, and faster when it is asked for so many bytes ahead.
constexpr u32 prefetch_ahead = 2048;

template <class Dot>
PRONK_INLINE const u8* unit_at(const u8* row, u32 unit) {
  return row + u64(unit) * (unit_weights / Dot::block_weights) * Dot::block_bytes;
}

// Of so many parts those that make no whole unit: where a block is a unit there are none, and no code for them.
template <class Dot>
PRONK_INLINE u32 rest_parts(u32 parts) {
  return Dot::block_weights == unit_weights ? 0 : parts % (unit_weights / quant_block);
}

PRONK_INLINE const Quant* quants_of(const QuantizedRows& x, u32 t) {
  return reinterpret_cast<const Quant*>(x.quants) + u64(t) * x.stride;
}

template <class Dot>
PRONK_INLINE Dot dot_of(const formats::Format& format) {
  if constexpr (requires(Dot dot) { dot.book; }) {
    return {reinterpret_cast<const u8*>(format.gpu_table().data())};
  } else {
    return {};
  }
}

// ---- One row of weights, one of activations

template <class Dot>
struct RowSums {
  static constexpr u32 groups = quant_block / Dot::group;  // in a part
  using Products = Lanes<float, groups == 1 ? sizeof(GroupInts) / sizeof(i32) : 8>;
  Products products[2] = {};
  Floats8 offsets = {};
};

// Of `parts` times 32 weights.
template <class Dot>
PRONK_INLINE void add_unit(const Dot& dot, const u8* unit, const Quant* x, const float* x_scales, const float* x_sums,
                           u32 parts, RowSums<Dot>& sums) {
  constexpr u32 groups = RowSums<Dot>::groups;
  using Products = typename RowSums<Dot>::Products;
  UnitScales w;
  dot.scales(unit, parts * groups, w);
  for (u32 i = 0; i < groups; ++i) {
    if (Dot::has_offsets)
      sums.offsets += load_vector<Floats8>(w.offsets + 8 * i) * load_vector<Floats8>(x_sums + 8 * i);
  }
  if constexpr (groups == 1) {
    store_vector(w.scales, load_vector<Floats8>(w.scales) * load_vector<Floats8>(x_scales));
  }
#pragma unroll(unrolled_parts)
  for (u32 p = 0; p < parts; ++p) {
    const Bytes32 quants = dot.quants(unit, p);
    if constexpr (groups == 1) {
      const GroupInts dots = group_dot<Dot::largest>(quants, x + p * quant_block);
      sums.products[p % 2] += __builtin_convertvector(dots, Products) * w.scales[p];
    } else {
      const Lanes<float, 4> first = w.scales[2 * p], second = w.scales[2 * p + 1];
      const Floats8 scale = __builtin_shufflevector(first, second, 0, 1, 2, 3, 4, 5, 6, 7) * x_scales[p];
      const Ints8 dots = dot32<Dot::largest == 0>(quants, x + p * quant_block);
      sums.products[p % 2] += __builtin_convertvector(dots, Products) * scale;
    }
  }
}

template <class Dot>
PRONK_INLINE float row_product(const Dot& dot, const u8* row, const QuantizedRows& x, u32 t) {
  constexpr u32 unit_blocks = unit_weights / quant_block;
  const Quant* quants = quants_of(x, t);
  const float* scales = x.scales + u64(t) * x.stride / quant_block;
  const float* x_sums = Dot::group == quant_block ? x.sums + u64(t) * x.stride / quant_block
                                                  : x.half_sums + u64(t) * x.stride / (quant_block / 2);
  constexpr u32 unit_sums = unit_weights / Dot::group;
  RowSums<Dot> sums;
  const u32 units = x.width / unit_weights, rest = rest_parts<Dot>(x.width / quant_block);
  for (u32 u = 0; u < units; ++u) {
    const u8* unit = unit_at<Dot>(row, u);
    for (const u8* at = unit; at < unit_at<Dot>(row, u + 1); at += 64) __builtin_prefetch(at + prefetch_ahead);
    add_unit<Dot>(dot, unit, quants + u * unit_weights, scales + u * unit_blocks, x_sums + u * unit_sums, unit_blocks,
                  sums);
  }
  if (rest > 0) {
    add_unit<Dot>(dot, unit_at<Dot>(row, units), quants + units * unit_weights, scales + units * unit_blocks,
                  x_sums + units * unit_sums, rest, sums);
  }
  return sum_of(sums.products[0] + sums.products[1], sums.offsets);
}

// ---- Panels

// What multiplying a panel depends on: formats that have it in common share the code.
template <u32 group_weights, u32 largest_quant, bool with_offsets>
struct Panel {
  static constexpr u32 weights = 4 * unit_weights;  // of each row
  static constexpr u32 group = group_weights, largest = largest_quant, groups = weights / group;
  static constexpr bool has_offsets = with_offsets || (largest == 0 && panel_bias > 0);
  alignas(64) u8 quants[weights * panel_rows];  // as panel_dot reads them
  alignas(64) float scales[groups][panel_rows];
  alignas(64) float offsets[has_offsets ? groups : 1][panel_rows];
};

// Sums of pairs have room for as many quants up to the rounded number as up to the number itself.
constexpr u32 rounded_largest(u32 largest) {
  return largest == 0 ? 0 : largest <= 16 ? 16 : largest <= 32 ? 32 : largest <= 64 ? 64 : 127;
}

template <class Dot>
using PanelOf = Panel<Dot::group, rounded_largest(Dot::largest), Dot::has_offsets>;

// Writes a row's 32 quants to where the panel has them.
PRONK_INLINE void deal(const Bytes32& quants, u8* to, u32 row) {
  for (u32 k = 0; k < quant_block; k += panel_step) {
    __builtin_memcpy(to + k * panel_rows + row * panel_step, reinterpret_cast<const u8*>(&quants) + k, panel_step);
  }
}

// unit: number `index` of the panel
template <class Dot>
PRONK_INLINE void fill_unit(const Dot& dot, const u8* unit, u32 parts, u32 row, u32 index, PanelOf<Dot>& panel) {
  constexpr u32 part_groups = quant_block / Dot::group, unit_groups = unit_weights / Dot::group;
  UnitScales w;
  dot.scales(unit, parts * part_groups, w);
  for (u32 g = 0; g < parts * part_groups; ++g) {
    panel.scales[index * unit_groups + g][row] = w.scales[g];
    if (PanelOf<Dot>::has_offsets) {
      panel.offsets[index * unit_groups + g][row] = Dot::has_offsets ? w.offsets[g] : -float(panel_bias) * w.scales[g];
    }
  }
#pragma unroll(unrolled_parts)
  for (u32 p = 0; p < parts; ++p) {
    const Bytes32 quants = dot.quants(unit, p);
    deal(Dot::largest == 0 ? quants ^ panel_bias : quants,
         panel.quants + (index * unit_weights + p * quant_block) * panel_rows, row);
  }
}

// `parts` times 32 weights of `rows` rows; missing rows are zeros.
template <class Dot>
void fill_panel(const Dot& dot, const u8* weights, u64 row_bytes, u32 rows, u32 parts, PanelOf<Dot>& panel) {
  constexpr u32 unit_parts = unit_weights / quant_block;
  if (rows < panel_rows) panel = {};
  for (u32 r = 0; r < rows; ++r) {
    for (u32 u = 0; u < parts / unit_parts; ++u) {
      fill_unit<Dot>(dot, unit_at<Dot>(weights + r * row_bytes, u), unit_parts, r, u, panel);
    }
    const u32 units = parts / unit_parts, rest = rest_parts<Dot>(parts);
    if (rest > 0) fill_unit<Dot>(dot, unit_at<Dot>(weights + r * row_bytes, units), rest, r, units, panel);
  }
}

// out[t][r] += panel · x for `tokens` activations from row t on and columns from `first` on.
template <u32 tokens, class AnyPanel>
PRONK_INLINE void add_tile(const AnyPanel& panel, u32 parts, const QuantizedRows& x, u32 t, u32 first,
                           PanelFloats* sums) {
  constexpr u32 part_groups = quant_block / AnyPanel::group;
  const u32 blocks = x.stride / quant_block;
  const Quant* quants = quants_of(x, t) + first;
  const float* x_scales = x.scales + u64(t) * blocks + first / quant_block;
  const float* x_sums =
      (part_groups == 1 ? x.sums : x.half_sums) + u64(t) * blocks * part_groups + first / AnyPanel::group;
  for (u32 p = 0, g = 0; p < parts; ++p) {
    for (u32 i = 0; i < part_groups; ++i, ++g) {
      PanelInts dots[tokens];
      panel_dot<tokens, AnyPanel::group, AnyPanel::largest>(panel.quants + g * AnyPanel::group * panel_rows,
                                                            quants + g * AnyPanel::group, x.stride, dots);
      const PanelFloats scale = load_vector<PanelFloats>(panel.scales[g]);
      for (u32 j = 0; j < tokens; ++j) {
        sums[j] += __builtin_convertvector(dots[j], PanelFloats) * (scale * x_scales[j * blocks + p]);
      }
      if (AnyPanel::has_offsets) {
        const PanelFloats offset = load_vector<PanelFloats>(panel.offsets[g]);
        for (u32 j = 0; j < tokens; ++j) sums[j] += offset * x_sums[j * blocks * part_groups + g];
      }
    }
  }
}

template <u32 tokens, class AnyPanel>
void multiply_tile(const AnyPanel& panel, u32 parts, const QuantizedRows& x, u32 t, u32 first, Rows<float> out, u32 n) {
  const u32 rows = out.width - n < panel_rows ? out.width - n : panel_rows;
  alignas(64) float edge[tokens][panel_rows] = {};  // in the place of results that are no whole vector
  const bool whole = rows == panel_rows;
  PanelFloats sums[tokens];
  for (u32 j = 0; j < tokens; ++j) {
    for (u32 r = 0; !whole && r < rows; ++r) edge[j][r] = out[t + j][n + r];
    sums[j] = load_vector<PanelFloats>(whole ? out[t + j] + n : edge[j]);
  }
  add_tile<tokens>(panel, parts, x, t, first, sums);
  for (u32 j = 0; j < tokens; ++j) {
    store_vector(whole ? out[t + j] + n : edge[j], sums[j]);
    for (u32 r = 0; !whole && r < rows; ++r) out[t + j][n + r] = edge[j][r];
  }
}

template <class AnyPanel>
void multiply_panel(const AnyPanel& panel, u32 parts, const QuantizedRows& x, u32 first, Rows<float> out, u32 n) {
  u32 t = 0;
  for (; t + tile_tokens <= x.count; t += tile_tokens) {
    multiply_tile<tile_tokens>(panel, parts, x, t, first, out, n);
  }
  for (; t + 2 <= x.count; t += 2) multiply_tile<2>(panel, parts, x, t, first, out, n);
  if (t < x.count) multiply_tile<1>(panel, parts, x, t, first, out, n);
}

// ---- A run of rows

template <class Dot>
void multiply_by_rows(const Matrix& matrix, RowRange range, const QuantizedRows& x, const float* bias,
                      Rows<float> out) {
  const Dot dot = dot_of<Dot>(*matrix.format);
  const u64 row_bytes = matrix.row_bytes();
  for (u32 t = 0; t < x.count; ++t) {
    for (u32 n = range.first; n < range.end; ++n) {
      out[t][n] = row_product<Dot>(dot, matrix.bytes + n * row_bytes, x, t) + (bias ? bias[n] : 0);
    }
  }
}

// fill(n, rows, first, parts, panel): `parts` times 32 weights of some rows, from row n and column `first` on.
template <class AnyPanel, class Fill>
PRONK_INLINE void multiply_by_panels(const Matrix& matrix, RowRange range, const QuantizedRows& x, const float* bias,
                                     Rows<float> out, const Fill& fill) {
  AnyPanel panel;
  out.width = range.end;
  for (u32 n = range.first; n < range.end; n += panel_rows) {
    const u32 rows = range.end - n < panel_rows ? range.end - n : panel_rows;
    for (u32 t = 0; t < x.count; ++t) {
      for (u32 r = 0; r < rows; ++r) out[t][n + r] = bias ? bias[n + r] : 0;
    }
    for (u32 first = 0; first < matrix.cols; first += AnyPanel::weights) {
      const u32 columns = matrix.cols - first < AnyPanel::weights ? matrix.cols - first : AnyPanel::weights;
      fill(n, rows, first, columns / quant_block, panel);
      multiply_panel(panel, columns / quant_block, x, first, out, n);
    }
  }
}

template <class Dot>
void multiply_quantized(const Matrix& matrix, RowRange range, const QuantizedRows& x, const float* bias,
                        Rows<float> out) {
  if (x.count < panel_tokens) {
    multiply_by_rows<Dot>(matrix, range, x, bias, out);
  } else {
    const Dot dot = dot_of<Dot>(*matrix.format);
    multiply_by_panels<PanelOf<Dot>>(
        matrix, range, x, bias, out, [&](u32 n, u32 rows, u32 first, u32 parts, PanelOf<Dot>& panel) {
          const u8* weights = unit_at<Dot>(matrix.bytes + n * matrix.row_bytes(), first / unit_weights);
          fill_panel<Dot>(dot, weights, matrix.row_bytes(), rows, parts, panel);
        });
  }
}

// ---- Activations

PRONK_INLINE Lanes<u32, 8> larger(const Lanes<u32, 8>& a, const Lanes<u32, 8>& b) { return a > b ? a : b; }

// The largest magnitude becomes 127. Where a block holds infinity or NaN, its scale is NaN, and so is every product.
PRONK_INLINE void quantize_block(const float* x, Quant* quants, float& scale, float& sum, float* half_sums) {
  using Words = Lanes<u32, 8>;
  Floats8 values[4];
  Words largest = {};
  for (u32 i = 0; i < 4; ++i) {
    values[i] = load_vector<Floats8>(x + 8 * i);
    largest = larger(largest, Words(values[i]) & 0x7fffffff);  // as integers NaN is above all numbers
  }
  u32 bits = 0;
  for (u32 i = 0; i < 8; ++i) bits = largest[i] > bits ? largest[i] : bits;
  const float magnitude = __builtin_bit_cast(float, bits);
  const bool finite = bits < 0x7f800000;
  scale = finite ? magnitude / 127 : __builtin_nanf("");
  const float inverse = finite && scale >= 0x1p-126f ? 1 / scale : 0;  // 1 / scale must not overflow
  i32 totals[2] = {};
  for (u32 i = 0; i < 4; ++i) {
    const Floats8 scaled = finite ? values[i] * inverse : Floats8(0);
    // Adding 1.5 · 2²³ leaves the nearest integer in the lowest bits.
    const Ints8 whole = Ints8(scaled + 0x1.8p23f) - Ints8(Floats8(0x1.8p23f));
    store_vector(quants + 8 * i, __builtin_convertvector(whole, Lanes<Quant, 8>));
    for (u32 j = 0; j < 8; ++j) totals[i / 2] += whole[j];
  }
  half_sums[0] = scale * float(totals[0]);
  half_sums[1] = scale * float(totals[1]);
  sum = scale * float(totals[0] + totals[1]);
}

void quantize(Rows<const float> x, const QuantizedRows& out) {
  const u32 blocks = out.stride / quant_block, used = x.width / quant_block;
  for (u32 t = 0; t < x.count; ++t) {
    Quant* quants = reinterpret_cast<Quant*>(out.quants) + u64(t) * out.stride;
    float* scales = out.scales + u64(t) * blocks;
    float* sums = out.sums + u64(t) * blocks;
    float* half_sums = out.half_sums + 2 * u64(t) * blocks;
    for (u32 b = 0; b < used; ++b) {
      quantize_block(x[t] + b * quant_block, quants + b * quant_block, scales[b], sums[b], half_sums + 2 * b);
    }
    const u32 rest = blocks - used;
    __builtin_memset(quants + used * quant_block, 0, u64(rest) * quant_block * sizeof(Quant));
    __builtin_memset(scales + used, 0, rest * sizeof(float));
    __builtin_memset(sums + used, 0, rest * sizeof(float));
    __builtin_memset(half_sums + 2 * used, 0, 2 * rest * sizeof(float));
  }
}
