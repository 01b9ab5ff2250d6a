// What is no product of a matrix: attention over floats, and the gates of feed-forward layers.

// e^x within a few units of the last place; 0 below −87, infinity above 88.
PRONK_INLINE Floats8 exp_of(const Floats8& x) {
  const Floats8 inside = x < -87 ? Floats8(-87) : x > 88 ? Floats8(88) : x;  // NaN stays
  const Floats8 shifted = inside * 0x1.715476p0f + 0x1.8p23f;  // the nearest integer to x / ln 2 in the lowest bits
  const Floats8 whole = shifted - 0x1.8p23f;
  const Floats8 r = (inside - whole * 0x1.62e4p-1f) - whole * 0x1.7f7d1cp-20f;  // ln 2 in two parts
  Floats8 p = 0x1.a01a02p-13f;  // 1/7!, 1/6!, …: |r| is at most ln 2 / 2
  p = p * r + 0x1.6c16c2p-10f;
  p = p * r + 0x1.111112p-7f;
  p = p * r + 0x1.555556p-5f;
  p = p * r + 0x1.555556p-3f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Ints8 exponent = (Ints8(shifted) - Ints8(Floats8(0x1.8p23f)) + 127) << 23;
  const Floats8 result = p * Floats8(exponent);
  return x < -87 ? Floats8(0) : x > 88 ? Floats8(__builtin_inff()) : result;
}

PRONK_INLINE float dot_floats(const float* a, const float* b, u32 count) {
  Floats8 sums[2] = {};
  u32 i = 0;
  for (; i + 16 <= count; i += 16) {
    sums[0] += load_vector<Floats8>(a + i) * load_vector<Floats8>(b + i);
    sums[1] += load_vector<Floats8>(a + i + 8) * load_vector<Floats8>(b + i + 8);
  }
  for (; i + 8 <= count; i += 8) sums[0] += load_vector<Floats8>(a + i) * load_vector<Floats8>(b + i);
  float total = sum_of(sums[0] + sums[1]);
  for (; i < count; ++i) total += a[i] * b[i];
  return total;
}

// out[i] = out[i] · keep + Σ_p weights[p] · values[p][i] for `width` vectors of i.
template <u32 width>
PRONK_INLINE void add_values(const float* weights, const float* values, u32 count, u32 stride, float keep, float* out) {
  Floats8 sums[width];
  for (u32 j = 0; j < width; ++j) sums[j] = load_vector<Floats8>(out + 8 * j) * keep;
  for (u32 p = 0; p < count; ++p, values += stride) {
    for (u32 j = 0; j < width; ++j) sums[j] += load_vector<Floats8>(values + 8 * j) * weights[p];
  }
  for (u32 j = 0; j < width; ++j) store_vector(out + 8 * j, sums[j]);
}

// Scores of kv_rows positions, of which `count` are there.
PRONK_INLINE void soft_cap_scores(float* scores, u32 count, float cap) {
  for (u32 p = count; p < kv_rows; ++p) scores[p] = 0;
  for (u32 p = 0; p < kv_rows; p += 8) {  // tanh(x) = 1 − 2 / (1 + e^2x)
    store_vector(scores + p, cap - 2 * cap / (1 + exp_of(load_vector<Floats8>(scores + p) * (2 / cap))));
  }
}

// See attend_block in cpu/attention.h.
void attend(const AttendShape& shape, const float* q, const float* keys, const float* values, u32 count,
            Softmax<float>& state, float* out) {
  alignas(64) float weights[kv_rows];
  for (u32 p = 0; p < count; ++p) {
    weights[p] = shape.scale * dot_floats(q, keys + u64(p) * shape.key_width, shape.key_width);
  }
  if (shape.soft_cap != 0) soft_cap_scores(weights, count, shape.soft_cap);
  float largest = state.largest;
  for (u32 p = 0; p < count; ++p) largest = weights[p] > largest ? weights[p] : largest;
  for (u32 p = count; p < kv_rows; ++p) weights[p] = -__builtin_inff();
  Floats8 sums = {};
  for (u32 p = 0; p < kv_rows; p += 8) {
    const Floats8 some = exp_of(load_vector<Floats8>(weights + p) - largest);
    store_vector(weights + p, some);
    sums += some;
  }
  const float keep = largest > state.largest ? exp_of(Floats8(state.largest - largest))[0] : 1;
  state.sum = state.sum * keep + sum_of(sums);
  state.largest = largest;
  const u32 width = shape.value_width, stride = shape.value_stride;
  u32 i = 0;
  for (; i + 32 <= width; i += 32) add_values<4>(weights, values + i, count, stride, keep, out + i);
  for (; i + 8 <= width; i += 8) add_values<1>(weights, values + i, count, stride, keep, out + i);
  for (; i < width; ++i) {
    out[i] *= keep;
    for (u32 p = 0; p < count; ++p) out[i] += weights[p] * values[u64(p) * stride + i];
  }
}

void floats_of_halves(const u8* from, u64 count, float* out) {
  u64 i = 0;
  for (; i + 8 <= count; i += 8) store_vector(out + i, from_halves(load_vector<Lanes<u16, 8>>(from + 2 * i)));
  for (; i < count; ++i) out[i] = half_at(from + 2 * i);
}

// Numbers of a KV cache (KvRows::put_blocks) from i on, as integers.
template <bool nibbles>
PRONK_INLINE Lanes<i8, 8> eight_of_cache(const u8* from, u32 i) {
  if constexpr (!nibbles) return load_vector<Lanes<i8, 8>>(from + i);
  const Lanes<u8, 4> pairs = load_vector<Lanes<u8, 4>>(from + i / 2);
  return Lanes<i8, 8>(__builtin_shufflevector(pairs & 15, pairs >> 4, 0, 4, 1, 5, 2, 6, 3, 7)) - i8(8);
}
template <bool nibbles>
PRONK_INLINE i32 one_of_cache(const u8* from, u32 i) {
  return nibbles ? (from[i / 2] >> (i % 2 * 4) & 15) - 8 : i8(from[i]);
}

template <bool nibbles>
void floats_of_blocks(const u8* from, const u8* scales, u32 count, u32 block, float* out) {
  for (u32 first = 0; first < count; first += block, scales += 2) {
    const float scale = half_at(scales);
    const u32 end = count - first < block ? count : first + block;
    u32 i = first;
    for (; i + 8 <= end; i += 8) {
      store_vector(out + i, __builtin_convertvector(eight_of_cache<nibbles>(from, i), Floats8) * scale);
    }
    for (; i < end; ++i) out[i] = scale * float(one_of_cache<nibbles>(from, i));
  }
}

// out = g / (1 + e^−(factor · (g + cubic · g³))) · up; the strides leave room for whole vectors.
void gate_floats(Rows<const float> gate, Rows<const float> up, float factor, float cubic, Rows<float> out) {
  for (u32 t = 0; t < out.count; ++t) {
    for (u32 i = 0; i < out.width; i += 8) {
      const Floats8 g = load_vector<Floats8>(gate[t] + i);
      const Floats8 inner = cubic == 0 ? g : g + g * g * g * cubic;  // infinity · 0 is none
      store_vector(out[t] + i, g / (1 + exp_of(inner * -factor)) * load_vector<Floats8>(up[t] + i));
    }
  }
}
