// Primitives in plain vectors: right on every machine, fast on none.
// What each has to do is said here; the other headers of this folder do the same with their instructions.

using Quant = i16;  // how a quant of an activation is kept

constexpr u32 panel_rows = 8;      // rows of a panel: lanes of a vector of sums
constexpr u32 panel_step = 2;      // weights of one row that lie side by side in a panel
constexpr u32 tile_tokens = 2;     // activations that share each load of a panel
constexpr u32 unrolled_parts = 8;  // of a unit, in loops over them
constexpr u8 panel_bias = 0;       // flips bits of signed weights in a panel: 128 makes them q + 128, unsigned

using PanelInts = Lanes<i32, panel_rows>;
using PanelFloats = Lanes<float, panel_rows>;

using FloatLanes = Floats4;       // of a panel of floats
constexpr u32 float_vectors = 2;  // of rows in such a panel: its rows are the lanes of so many
constexpr u32 float_tokens = 4;   // activations that share each load of it

// Eight sums of products of 32 weights and quants: the first four together are those of the first 16, the others those
// of the rest. Unsigned weights are at most 127.
template <bool is_signed>
PRONK_INLINE Ints8 dot32(const Bytes32& w, const Quant* x) {
  using Wide = Lanes<i16, 32>;  // holds 128 · 127 and 127 · 127
  Wide wide;
  if constexpr (is_signed) {
    wide = __builtin_convertvector(Lanes<i8, 32>(w), Wide);
  } else {
    wide = __builtin_convertvector(w, Wide);
  }
  const Wide products = wide * load_vector<Wide>(x);
  using Pairs = Lanes<i32, 16>;
  const Pairs pairs = __builtin_convertvector(products.even, Pairs) + __builtin_convertvector(products.odd, Pairs);
  return pairs.even + pairs.odd;
}

// Of the same products sums that are only wanted together. largest: of unsigned weights, at most 127; 0 for signed
// ones.
using GroupInts = Ints8;
template <u32 largest>
PRONK_INLINE GroupInts group_dot(const Bytes32& w, const Quant* x) {
  return dot32<largest == 0>(w, x);
}

// out[i] = table[at[i]], at below 16
PRONK_INLINE Bytes16 lookup(const Bytes16& table, const Bytes16& at) {
  Bytes16 out;
  for (u32 i = 0; i < 16; ++i) out[i] = table[at[i] & 15];
  return out;
}

// Eight f16.
PRONK_INLINE Floats8 from_halves(const Lanes<u16, 8>& halves) { return halves_by_bits(halves); }

// sums[t][r] = Σ_k panel[k / panel_step][r][k % panel_step] · x[t · stride + k] for k < weights.
// largest: of unsigned weights, at most 127; 0 for signed ones, whose bits panel_bias has flipped.
template <u32 tokens, u32 weights, u32 largest>
PRONK_INLINE void panel_dot(const u8* panel, const Quant* x, u64 stride, PanelInts* sums) {
  using Pairs = Lanes<i16, panel_rows>;
  for (u32 t = 0; t < tokens; ++t) sums[t] = PanelInts{};
  for (u32 k = 0; k < weights; k += 2, panel += 2 * panel_rows) {
    const Bytes16 bytes = load_vector<Bytes16>(panel);
    Lanes<i16, 16> wide;
    if constexpr (largest == 0) {
      wide = __builtin_convertvector(Lanes<i8, 16>(bytes), decltype(wide));
    } else {
      wide = __builtin_convertvector(bytes, decltype(wide));
    }
    const Pairs even = wide.even, odd = wide.odd;
    for (u32 t = 0; t < tokens; ++t) {
      sums[t] += __builtin_convertvector(even, PanelInts) * i32(x[t * stride + k]) +
                 __builtin_convertvector(odd, PanelInts) * i32(x[t * stride + k + 1]);
    }
  }
}

// sums[i] + a[2i] · b[2i] + a[2i + 1] · b[2i + 1]: of four lanes, and of a panel's.
template <u32 lanes>
PRONK_INLINE Lanes<i32, lanes> add_pairs(const Lanes<i32, lanes>& sums, const Lanes<i16, 2 * lanes>& a,
                                         const Lanes<i16, 2 * lanes>& b) {
  using Wide = Lanes<i32, 2 * lanes>;
  const Wide products = __builtin_convertvector(a, Wide) * __builtin_convertvector(b, Wide);
  return sums + (products.even + products.odd);
}
