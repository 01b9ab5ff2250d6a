// Halves to floats with WebAssembly's SIMD128, whichever module.

[[gnu::noinline]] Floats8 special_halves(const Lanes<u16, 8>& halves) { return halves_by_bits(halves); }

// A half's bits three places lower, but for its sign, are the upper bits of a float that is 2^-112 times the number,
// also of a subnormal one. Infinity and NaN, which would not be, are for integer instructions; they are rare.
PRONK_INLINE Floats8 from_halves(const Lanes<u16, 8>& halves) {
  const v128_t bits = v128_t(halves), most = wasm_i16x8_const_splat(0x7c00);
  if (wasm_v128_any_true(wasm_i16x8_eq(wasm_v128_and(bits, most), most))) return special_halves(halves);
  const v128_t sign = wasm_v128_and(bits, wasm_i16x8_const_splat(i16(0x8000)));
  const v128_t upper = wasm_v128_or(wasm_u16x8_shr(wasm_i16x8_shl(bits, 1), 4), sign);
  const v128_t lower = wasm_i16x8_shl(bits, 13);
  const v128_t scale = wasm_f32x4_const_splat(0x1p112f);
  const v128_t first = wasm_i16x8_shuffle(lower, upper, 0, 8, 1, 9, 2, 10, 3, 11);
  const v128_t last = wasm_i16x8_shuffle(lower, upper, 4, 12, 5, 13, 6, 14, 7, 15);
  return __builtin_shufflevector(Floats4(wasm_f32x4_mul(first, scale)), Floats4(wasm_f32x4_mul(last, scale)), 0, 1, 2,
                                 3, 4, 5, 6, 7);
}
