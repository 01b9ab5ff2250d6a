// Primitives (generic.h has the contracts) with WebAssembly's relaxed SIMD.

using Quant = i8;

constexpr u32 panel_rows = 8;
constexpr u32 panel_step = 4;
constexpr u32 tile_tokens = 4;
constexpr u32 unrolled_parts = 2;
constexpr u8 panel_bias = 0;

using PanelInts = Lanes<i32, panel_rows>;
using PanelFloats = Lanes<float, panel_rows>;

using FloatLanes = Floats4;
constexpr u32 float_vectors = 2;
constexpr u32 float_tokens = 4;

// The relaxed dot products multiply signed bytes with bytes that have seven bits; whether an eighth is a sign is the
// host's affair, and the same each time. Where it is not (x86), signed weights give their sign to the quants and are
// magnitudes of up to 128; where it is (ARM), they are taken as they are: no weight is below −128.
const v128_t negative_below = wasm_i32x4_extract_lane(wasm_i32x4_relaxed_dot_i8x16_i7x16_add(
                                                          wasm_i8x16_const_splat(1), wasm_i8x16_const_splat(-128),
                                                          wasm_i32x4_const_splat(0)),
                                                      0) > 0
                                  ? wasm_i8x16_const_splat(0)
                                  : wasm_i8x16_const_splat(-128);

// x where the mask is 0, −x where it is −1
PRONK_INLINE v128_t negated(v128_t x, v128_t mask) { return wasm_i8x16_sub(wasm_v128_xor(x, mask), mask); }

PRONK_INLINE v128_t widen(v128_t pairs) { return wasm_i32x4_dot_i16x8(pairs, wasm_i16x8_const_splat(1)); }

// Sums of two neighbouring products each: 128 · 127 · 2 fits 16 bits.
template <bool is_signed>
PRONK_INLINE v128_t pair_sums(const Bytes16& w, const Quant* x) {
  v128_t weights = v128_t(w), quants = wasm_v128_load(x);
  if constexpr (is_signed) {
    const v128_t negative = wasm_i8x16_lt(weights, negative_below);
    weights = negated(weights, negative);
    quants = negated(quants, negative);
  }
  return wasm_i16x8_relaxed_dot_i8x16_i7x16(quants, weights);
}

template <bool is_signed>
PRONK_INLINE Ints8 dot32(const Bytes32& w, const Quant* x) {
  return __builtin_shufflevector(widen(pair_sums<is_signed>(low_half(w), x)),
                                 widen(pair_sums<is_signed>(high_half(w), x + 16)), 0, 1, 2, 3, 4, 5, 6, 7);
}

using GroupInts = Lanes<i32, 4>;
template <u32 largest>
PRONK_INLINE GroupInts group_dot(const Bytes32& w, const Quant* x) {
  const v128_t low = pair_sums<largest == 0>(low_half(w), x), high = pair_sums<largest == 0>(high_half(w), x + 16);
  if constexpr (largest == 0 || largest * 127 * 4 > 32767) {
    return wasm_i32x4_add(widen(low), widen(high));
  } else {
    return widen(wasm_i16x8_add(low, high));
  }
}

PRONK_INLINE Bytes16 lookup(const Bytes16& table, const Bytes16& at) {
  return Bytes16(wasm_i8x16_relaxed_swizzle(v128_t(table), v128_t(at)));
}

// Pairs are kept in 16 bits as long as they cannot overflow.
template <u32 tokens, u32 weights, u32 largest>
PRONK_INLINE void panel_dot(const u8* panel, const Quant* x, u64 stride, PanelInts* sums) {
  constexpr u32 steps = weights / panel_step;
  constexpr u32 most = largest == 0 ? 1 : 32767 / (largest * 2 * 127);
  constexpr u32 run = most >= steps ? steps : most >= 4 ? 4 : most >= 2 ? 2 : 1;
  v128_t low[tokens], high[tokens];
  for (u32 first = 0; first < steps; first += run) {
    v128_t low_pairs[tokens], high_pairs[tokens];
    for (u32 s = first; s < first + run; ++s) {
      v128_t w0 = wasm_v128_load(panel + s * 4 * panel_rows), w1 = wasm_v128_load(panel + s * 4 * panel_rows + 16);
      v128_t negative0, negative1;
      if constexpr (largest == 0) {
        negative0 = wasm_i8x16_lt(w0, negative_below), negative1 = wasm_i8x16_lt(w1, negative_below);
        w0 = negated(w0, negative0), w1 = negated(w1, negative1);
      }
      for (u32 t = 0; t < tokens; ++t) {
        const v128_t quants = wasm_v128_load32_splat(x + t * stride + 4 * s);
        const v128_t next0 = wasm_i16x8_relaxed_dot_i8x16_i7x16(largest == 0 ? negated(quants, negative0) : quants, w0);
        const v128_t next1 = wasm_i16x8_relaxed_dot_i8x16_i7x16(largest == 0 ? negated(quants, negative1) : quants, w1);
        low_pairs[t] = s == first ? next0 : wasm_i16x8_add(low_pairs[t], next0);
        high_pairs[t] = s == first ? next1 : wasm_i16x8_add(high_pairs[t], next1);
      }
    }
    for (u32 t = 0; t < tokens; ++t) {
      low[t] = first == 0 ? widen(low_pairs[t]) : wasm_i32x4_add(low[t], widen(low_pairs[t]));
      high[t] = first == 0 ? widen(high_pairs[t]) : wasm_i32x4_add(high[t], widen(high_pairs[t]));
    }
  }
  for (u32 t = 0; t < tokens; ++t) sums[t] = __builtin_shufflevector(low[t], high[t], 0, 1, 2, 3, 4, 5, 6, 7);
}

PRONK_INLINE Floats4 multiply_add(const Floats4& a, const Floats4& b, const Floats4& c) {
  return Floats4(wasm_f32x4_relaxed_madd(v128_t(a), v128_t(b), v128_t(c)));
}
PRONK_INLINE Floats8 multiply_add(const Floats8& a, const Floats8& b, const Floats8& c) {
  return __builtin_shufflevector(multiply_add(a.lo, b.lo, c.lo), multiply_add(a.hi, b.hi, c.hi), 0, 1, 2, 3, 4, 5, 6,
                                 7);
}
