// Primitives (generic.h has the contracts) with WebAssembly's SIMD128.

using Quant = i16;  // the dot product is of 16-bit numbers

constexpr u32 panel_rows = 8;
constexpr u32 panel_step = 2;
constexpr u32 tile_tokens = 4;
constexpr u32 unrolled_parts = 2;  // a module is downloaded, and more are no faster
constexpr u8 panel_bias = 0;

using PanelInts = Lanes<i32, panel_rows>;
using PanelFloats = Lanes<float, panel_rows>;

using FloatLanes = Floats4;
constexpr u32 float_vectors = 2;
constexpr u32 float_tokens = 4;

template <bool is_signed>
PRONK_INLINE v128_t low_wide(v128_t bytes) {
  return is_signed ? wasm_i16x8_extend_low_i8x16(bytes) : wasm_u16x8_extend_low_u8x16(bytes);
}
template <bool is_signed>
PRONK_INLINE v128_t high_wide(v128_t bytes) {
  return is_signed ? wasm_i16x8_extend_high_i8x16(bytes) : wasm_u16x8_extend_high_u8x16(bytes);
}

template <bool is_signed>
PRONK_INLINE v128_t dot16(const Bytes16& w, const Quant* x) {
  const v128_t low = wasm_i32x4_dot_i16x8(low_wide<is_signed>(v128_t(w)), wasm_v128_load(x));
  const v128_t high = wasm_i32x4_dot_i16x8(high_wide<is_signed>(v128_t(w)), wasm_v128_load(x + 8));
  return wasm_i32x4_add(low, high);
}
template <bool is_signed>
PRONK_INLINE Ints8 dot32(const Bytes32& w, const Quant* x) {
  return __builtin_shufflevector(dot16<is_signed>(low_half(w), x), dot16<is_signed>(high_half(w), x + 16), 0, 1, 2, 3,
                                 4, 5, 6, 7);
}

using GroupInts = Lanes<i32, 4>;
template <u32 largest>
PRONK_INLINE GroupInts group_dot(const Bytes32& w, const Quant* x) {
  return wasm_i32x4_add(dot16<largest == 0>(low_half(w), x), dot16<largest == 0>(high_half(w), x + 16));
}

PRONK_INLINE Bytes16 lookup(const Bytes16& table, const Bytes16& at) {
  return Bytes16(wasm_i8x16_swizzle(v128_t(table), v128_t(at)));
}

template <u32 tokens, u32 weights, u32 largest>
PRONK_INLINE void panel_dot(const u8* panel, const Quant* x, u64 stride, PanelInts* sums) {
  v128_t low[tokens], high[tokens];
  for (u32 t = 0; t < tokens; ++t) low[t] = high[t] = wasm_i32x4_const_splat(0);
  for (u32 k = 0; k < weights; k += 2, panel += 2 * panel_rows) {
    const v128_t bytes = wasm_v128_load(panel);
    const v128_t first = low_wide<largest == 0>(bytes), second = high_wide<largest == 0>(bytes);
    for (u32 t = 0; t < tokens; ++t) {
      const v128_t quants = wasm_v128_load32_splat(x + t * stride + k);
      low[t] = wasm_i32x4_add(low[t], wasm_i32x4_dot_i16x8(first, quants));
      high[t] = wasm_i32x4_add(high[t], wasm_i32x4_dot_i16x8(second, quants));
    }
  }
  for (u32 t = 0; t < tokens; ++t) sums[t] = __builtin_shufflevector(low[t], high[t], 0, 1, 2, 3, 4, 5, 6, 7);
}
