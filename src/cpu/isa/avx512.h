// Primitives (generic.h has the contracts) with AVX-512 and its VNNI.

using Quant = i8;

constexpr u32 panel_rows = 16;
constexpr u32 panel_step = 4;
constexpr u32 tile_tokens = 8;
constexpr u32 unrolled_parts = 8;
constexpr u8 panel_bias = 128;  // the instruction wants unsigned weights

using PanelInts = Lanes<i32, panel_rows>;
using PanelFloats = Lanes<float, panel_rows>;

using FloatLanes = Floats16;
constexpr u32 float_vectors = 2;
constexpr u32 float_tokens = 8;

template <bool is_signed>
PRONK_INLINE Ints8 dot32(const Bytes32& w, const Quant* x) {
  const __m256i weights = __m256i(w), quants = load_vector<__m256i>(x), zero = _mm256_setzero_si256();
  if constexpr (is_signed) {
    return Ints8(_mm256_dpbusd_epi32(zero, _mm256_abs_epi8(weights), _mm256_sign_epi8(quants, weights)));
  } else {
    return Ints8(_mm256_dpbusd_epi32(zero, weights, quants));
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

template <u32 tokens, u32 weights, u32 largest>
PRONK_INLINE void panel_dot(const u8* panel, const Quant* x, u64 stride, PanelInts* sums) {
  __m512i totals[tokens];
  for (u32 t = 0; t < tokens; ++t) totals[t] = _mm512_setzero_si512();
  for (u32 s = 0; s < weights / panel_step; ++s) {
    const __m512i w = load_vector<__m512i>(panel + s * 4 * panel_rows);
    for (u32 t = 0; t < tokens; ++t) {
      const __m512i quants = _mm512_set1_epi32(load_vector<i32>(x + t * stride + 4 * s));
      totals[t] = _mm512_dpbusd_epi32(totals[t], w, quants);
    }
  }
  for (u32 t = 0; t < tokens; ++t) sums[t] = PanelInts(totals[t]);
}

PRONK_INLINE Lanes<i32, 4> add_pairs(const Lanes<i32, 4>& sums, const Lanes<i16, 8>& a, const Lanes<i16, 8>& b) {
  return Lanes<i32, 4>(_mm_dpwssd_epi32(__m128i(sums), __m128i(a), __m128i(b)));
}
PRONK_INLINE PanelInts add_pairs(const PanelInts& sums, const Lanes<i16, 32>& a, const Lanes<i16, 32>& b) {
  return PanelInts(_mm512_dpwssd_epi32(__m512i(sums), __m512i(a), __m512i(b)));
}
