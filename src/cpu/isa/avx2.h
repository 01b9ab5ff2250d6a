// Primitives (generic.h has the contracts) with AVX2, FMA and F16C.

using Quant = i8;

constexpr u32 panel_rows = 8;
constexpr u32 panel_step = 4;
constexpr u32 tile_tokens = 4;
constexpr u32 unrolled_parts = 8;
constexpr u8 panel_bias = 0;

using PanelInts = Lanes<i32, panel_rows>;
using PanelFloats = Lanes<float, panel_rows>;

using FloatLanes = Floats8;
constexpr u32 float_vectors = 2;
constexpr u32 float_tokens = 6;

// Sums of four neighbouring products. The instruction adds pairs in 16 bits, saturated: 127 · 127 · 2 fits, and so does
// 128 · 127 · 2, which is why signed weights give their sign to the quants.
PRONK_INLINE __m256i pair_sums(__m256i magnitudes, __m256i quants) { return _mm256_maddubs_epi16(magnitudes, quants); }
PRONK_INLINE __m256i widen(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

template <bool is_signed>
PRONK_INLINE Ints8 dot32(const Bytes32& w, const Quant* x) {
  const __m256i weights = __m256i(w), quants = load_vector<__m256i>(x);
  if constexpr (is_signed) {
    return Ints8(widen(pair_sums(_mm256_abs_epi8(weights), _mm256_sign_epi8(quants, weights))));
  } else {
    return Ints8(widen(pair_sums(weights, quants)));
  }
}

using GroupInts = Ints8;
template <u32 largest>
PRONK_INLINE GroupInts group_dot(const Bytes32& w, const Quant* x) {
  return dot32<largest == 0>(w, x);
}

PRONK_INLINE Bytes16 lookup(const Bytes16& table, const Bytes16& at) {
  return Bytes16(_mm_shuffle_epi8(__m128i(table), __m128i(at)));
}

PRONK_INLINE Floats8 from_halves(const Lanes<u16, 8>& halves) { return Floats8(_mm256_cvtph_ps(__m128i(halves))); }

// Pairs are kept in 16 bits as long as they cannot overflow.
template <u32 tokens, u32 weights, u32 largest>
PRONK_INLINE void panel_dot(const u8* panel, const Quant* x, u64 stride, PanelInts* sums) {
  constexpr u32 steps = weights / panel_step;
  constexpr u32 most = largest == 0 ? 1 : 32767 / (largest * 2 * 127);
  constexpr u32 run = most >= steps ? steps : most >= 4 ? 4 : most >= 2 ? 2 : 1;
  __m256i totals[tokens];
  for (u32 first = 0; first < steps; first += run) {
    __m256i pairs[tokens];
    for (u32 s = first; s < first + run; ++s) {
      const __m256i w = load_vector<__m256i>(panel + s * 4 * panel_rows);
      const __m256i magnitudes = largest == 0 ? _mm256_abs_epi8(w) : w;
      for (u32 t = 0; t < tokens; ++t) {
        const __m256i quants = _mm256_set1_epi32(load_vector<i32>(x + t * stride + 4 * s));
        const __m256i next = pair_sums(magnitudes, largest == 0 ? _mm256_sign_epi8(quants, w) : quants);
        pairs[t] = s == first ? next : _mm256_add_epi16(pairs[t], next);
      }
    }
    for (u32 t = 0; t < tokens; ++t) {
      const __m256i next = widen(pairs[t]);
      totals[t] = first == 0 ? next : _mm256_add_epi32(totals[t], next);
    }
  }
  for (u32 t = 0; t < tokens; ++t) sums[t] = PanelInts(totals[t]);
}

PRONK_INLINE Lanes<i32, 4> add_pairs(const Lanes<i32, 4>& sums, const Lanes<i16, 8>& a, const Lanes<i16, 8>& b) {
  return sums + Lanes<i32, 4>(_mm_madd_epi16(__m128i(a), __m128i(b)));
}
PRONK_INLINE PanelInts add_pairs(const PanelInts& sums, const Lanes<i16, 16>& a, const Lanes<i16, 16>& b) {
  return sums + PanelInts(_mm256_madd_epi16(__m256i(a), __m256i(b)));
}
