// Primitives (generic.h has the contracts) with NEON's dot product.

using Quant = i8;

constexpr u32 panel_rows = 8;
constexpr u32 panel_step = 4;
constexpr u32 tile_tokens = 4;
constexpr u32 unrolled_parts = 8;
constexpr u8 panel_bias = 0;

using PanelInts = Lanes<i32, panel_rows>;
using PanelFloats = Lanes<float, panel_rows>;

using FloatLanes = Floats4;
constexpr u32 float_vectors = 2;
constexpr u32 float_tokens = 8;

// Unsigned weights are at most 127, so that signed ones serve for both.
template <bool is_signed>
PRONK_INLINE Ints8 dot32(const Bytes32& w, const Quant* x) {
  const int32x4_t zero = vdupq_n_s32(0);
  const int32x4_t low = vdotq_s32(zero, int8x16_t(low_half(w)), vld1q_s8(x));
  const int32x4_t high = vdotq_s32(zero, int8x16_t(high_half(w)), vld1q_s8(x + 16));
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
}

using GroupInts = Lanes<i32, 4>;
template <u32 largest>
PRONK_INLINE GroupInts group_dot(const Bytes32& w, const Quant* x) {
  const int32x4_t low = vdotq_s32(vdupq_n_s32(0), int8x16_t(low_half(w)), vld1q_s8(x));
  return vdotq_s32(low, int8x16_t(high_half(w)), vld1q_s8(x + 16));
}

PRONK_INLINE Bytes16 lookup(const Bytes16& table, const Bytes16& at) {
  return Bytes16(vqtbl1q_u8(uint8x16_t(table), uint8x16_t(at)));
}

PRONK_INLINE Floats8 from_halves(const Lanes<u16, 8>& halves) {
  const float16x8_t h = float16x8_t(halves);
  const float32x4_t low = vcvt_f32_f16(vget_low_f16(h)), high = vcvt_f32_f16(vget_high_f16(h));
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
}

template <u32 tokens, u32 weights, u32 largest>
PRONK_INLINE void panel_dot(const u8* panel, const Quant* x, u64 stride, PanelInts* sums) {
  int32x4_t low[tokens], high[tokens];
  for (u32 t = 0; t < tokens; ++t) low[t] = high[t] = vdupq_n_s32(0);
  for (u32 s = 0; s < weights / panel_step; ++s, panel += 4 * panel_rows) {
    const int8x16_t first = vreinterpretq_s8_u8(vld1q_u8(panel)), second = vreinterpretq_s8_u8(vld1q_u8(panel + 16));
    for (u32 t = 0; t < tokens; ++t) {
      const int8x16_t quants = vreinterpretq_s8_s32(vdupq_n_s32(load_vector<i32>(x + t * stride + 4 * s)));
      low[t] = vdotq_s32(low[t], first, quants);
      high[t] = vdotq_s32(high[t], second, quants);
    }
  }
  for (u32 t = 0; t < tokens; ++t) sums[t] = __builtin_shufflevector(low[t], high[t], 0, 1, 2, 3, 4, 5, 6, 7);
}

PRONK_INLINE Lanes<i32, 4> add_pairs(const Lanes<i32, 4>& sums, const Lanes<i16, 8>& a, const Lanes<i16, 8>& b) {
  const int32x4_t low = vmull_s16(vget_low_s16(int16x8_t(a)), vget_low_s16(int16x8_t(b)));
  return sums + Lanes<i32, 4>(vpaddq_s32(low, vmull_high_s16(int16x8_t(a), int16x8_t(b))));
}
PRONK_INLINE PanelInts add_pairs(const PanelInts& sums, const Lanes<i16, 16>& a, const Lanes<i16, 16>& b) {
  return __builtin_shufflevector(add_pairs(sums.lo, a.lo, b.lo), add_pairs(sums.hi, a.hi, b.hi), 0, 1, 2, 3, 4, 5, 6,
                                 7);
}
