// Primitives (generic.h has the contracts) with WebAssembly's SIMD128, whichever module.

[[gnu::noinline]] Floats8 special_halves(const Lanes<u16, 8>& halves) { return halves_by_bits(halves); }

// A half's bits three places lower, but for its sign, are the upper bits of a float that is 2^-112 times the number,
// also of a subnormal one, but not of infinity and NaN. `seen` has then a lane above largest_finite.
PRONK_INLINE Floats8 finite_halves(const Lanes<u16, 8>& halves, Lanes<u16, 8>& seen) {
  const v128_t bits = v128_t(halves), magnitude = wasm_i16x8_shl(bits, 1);
  const v128_t sign = wasm_v128_and(bits, wasm_i16x8_const_splat(i16(0x8000)));
  const v128_t upper = wasm_v128_or(wasm_u16x8_shr(magnitude, 4), sign);
  const v128_t lower = wasm_i16x8_shl(bits, 13);
  const v128_t scale = wasm_f32x4_const_splat(0x1p112f);
  const v128_t first = wasm_i16x8_shuffle(lower, upper, 0, 8, 1, 9, 2, 10, 3, 11);
  const v128_t last = wasm_i16x8_shuffle(lower, upper, 4, 12, 5, 13, 6, 14, 7, 15);
  seen = Lanes<u16, 8>(wasm_u16x8_max(v128_t(seen), magnitude));
  return __builtin_shufflevector(Floats4(wasm_f32x4_mul(first, scale)), Floats4(wasm_f32x4_mul(last, scale)), 0, 1, 2,
                                 3, 4, 5, 6, 7);
}
constexpr u16 largest_finite = 0xf7ff;
PRONK_INLINE bool all_finite(const Lanes<u16, 8>& seen) {
  const v128_t most = wasm_i16x8_const_splat(i16(largest_finite));
  return wasm_i16x8_all_true(wasm_u16x8_le(v128_t(seen), most));
}

PRONK_INLINE Floats8 from_halves(const Lanes<u16, 8>& halves) {
  Lanes<u16, 8> seen = {};
  const Floats8 floats = finite_halves(halves, seen);
  return all_finite(seen) ? floats : special_halves(halves);
}

PRONK_INLINE Lanes<i32, 4> add_pairs(const Lanes<i32, 4>& sums, const Lanes<i16, 8>& a, const Lanes<i16, 8>& b) {
  return sums + Lanes<i32, 4>(wasm_i32x4_dot_i16x8(v128_t(a), v128_t(b)));
}
PRONK_INLINE Lanes<i32, 8> add_pairs(const Lanes<i32, 8>& sums, const Lanes<i16, 16>& a, const Lanes<i16, 16>& b) {
  return __builtin_shufflevector(add_pairs(sums.lo, a.lo, b.lo), add_pairs(sums.hi, a.hi, b.hi), 0, 1, 2, 3, 4, 5, 6,
                                 7);
}
