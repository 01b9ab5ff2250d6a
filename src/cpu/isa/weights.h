// What the weight formats' own files (formats/<name>.dot.h) are written with and have to define.
//
// A format with an integer dot product defines struct Dot:
//   block_weights, block_bytes: as in the table of formats
//   group: weights that share a scale, 16 or 32
//   largest: of its quants, which are unsigned and at most 127; 0: they are signed, from −128 on
//   has_offsets: a weight is scale · quant + offset, else scale · quant
//   scales(unit, groups, out): of the first `groups` groups of a unit; of the others, zeros
//   quants(unit, part): the 32 quants from weight 32 · part on
//   book, if it looks up points: the bytes of Format::gpu_table
// A unit is 256 weights; the last one of a row may be shorter, and nothing is read beyond its end.
//
// The struct of a format whose weights are floats has weight_bytes and floats(at): the eight weights from `at` on. It
// may have finite_floats(at, seen) too, for finite_halves.

struct alignas(64) UnitScales {
  float scales[unit_weights / 16];
  float offsets[unit_weights / 16];  // not written without has_offsets
};

// f16 at at, at + step, …: `count` of up to eight, then zeros.
PRONK_INLINE Floats8 halves_at(const u8* at, u32 step, u32 count) {
  Lanes<u16, 8> halves = {};
  if (count == 8) {
    for (u32 i = 0; i < 8; ++i) halves[i] = load_vector<u16>(at + i * step);
  } else {
    for (u32 i = 0; i < count; ++i) halves[i] = load_vector<u16>(at + i * step);
  }
  return from_halves(halves);
}

// Shifted as 16-bit numbers, which more instruction sets can do.
template <class Bytes>
PRONK_INLINE Bytes upper_nibbles(const Bytes& pairs) {
  return Bytes(Lanes<u16, sizeof(Bytes) / 2>(pairs) >> 4) & 15;
}

// The lower nibbles of 16 bytes, then the upper ones.
PRONK_INLINE Bytes32 nibbles(const u8* at) {
  const Bytes16 pairs = load_vector<Bytes16>(at);
  return join(pairs & 15, upper_nibbles(pairs));
}

// Eight f16 that ought to be finite: when they are not, all_finite(seen) is false afterwards, and they may be anything.
template <class Halves>
PRONK_INLINE Floats8 finite_halves(const Halves& halves, Halves&) {
  return from_halves(halves);
}
template <class Halves>
PRONK_INLINE bool all_finite(const Halves&) {
  return true;
}

PRONK_INLINE float half_at(const u8* at) { return halves_at(at, 0, 1)[0]; }

// A value of the table for each code.
PRONK_INLINE Bytes32 looked_up_nibbles(const Bytes16& table, const u8* at) {
  const Bytes32 codes = nibbles(at);
  return join(lookup(table, low_half(codes)), lookup(table, high_half(codes)));
}

// Byte i is 255 where bit i of the four is set, else 0.
PRONK_INLINE Bytes32 set_bits(const Lanes<u8, 4>& bytes) {
  const Bytes32 each = __builtin_shufflevector(bytes, bytes, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2,
                                               2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
  constexpr Bytes32 bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128,
                           1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  return Bytes32((each & bit) == bit);
}

PRONK_INLINE Bytes32 set_bits(const u8* at) { return set_bits(load_vector<Lanes<u8, 4>>(at)); }

// The nibbles of eight bytes, of each the lower one first.
PRONK_INLINE Bytes16 nibbles_in_turn(const u8* at) {
  const Lanes<u8, 8> pairs = load_vector<Lanes<u8, 8>>(at);
  return __builtin_shufflevector(pairs & 15, pairs >> 4, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
}

// ---- Code books (formats/code_books.h)

// Points of eight coordinates.
PRONK_INLINE Bytes32 eights_at(const u8* book, u64 a, u64 b, u64 c, u64 d) {
  const Lanes<u64, 4> points = {load_vector<u64>(book + 8 * a), load_vector<u64>(book + 8 * b),
                                load_vector<u64>(book + 8 * c), load_vector<u64>(book + 8 * d)};
  return Bytes32(points);
}

// Eight points of four coordinates; a bit each of `upper` is the ninth of its number.
PRONK_INLINE Bytes32 fours_at(const u8* book, const u8* lower, u32 upper) {
  Lanes<u32, 8> points;
  for (u32 i = 0; i < 8; ++i) points[i] = load_vector<u32>(book + 4 * (lower[i] | (upper << (8 - i) & 256)));
  return Bytes32(points);
}

// Four times seven signs, the lowest 28 bits, as four times eight: the number of minus signs is even.
PRONK_INLINE u32 eight_signs_of_sevens(u32 sevens) {
  const u32 signs = (sevens & 0x7f) | (sevens & 0x3f80) << 1 | (sevens & 0x1fc000) << 2 | (sevens & 0xfe00000) << 3;
  u32 odd = signs ^ signs >> 4;
  odd ^= odd >> 2;
  odd ^= odd >> 1;
  return signs | (odd & 0x01010101) << 7;
}

// A book's bytes, 128 + value, as values with a minus where a bit of `signs` is set.
PRONK_INLINE Bytes32 with_signs(const Bytes32& points, u32 signs) {
  using Bytes4 = Lanes<u8, 4>;
  const Bytes32 minus = set_bits(__builtin_bit_cast(Bytes4, signs));
  return ((points & 127) ^ minus) - minus;
}

// The head of formats/six_bit_scales.h.
PRONK_INLINE void six_bit_scales(const u8* head, UnitScales& out) {
  const u32 first = load_vector<u32>(head + 4), second = load_vector<u32>(head + 8),
            third = load_vector<u32>(head + 12);
  const u64 scales = (first & 0x3f3f3f3f) | u64((third & 0x0f0f0f0f) | (first >> 2 & 0x30303030)) << 32;
  const u64 offsets = (second & 0x3f3f3f3f) | u64((third >> 4 & 0x0f0f0f0f) | (second >> 2 & 0x30303030)) << 32;
  using Bytes8 = Lanes<u8, 8>;
  store_vector(out.scales, __builtin_convertvector(__builtin_bit_cast(Bytes8, scales), Floats8) * half_at(head));
  store_vector(out.offsets, __builtin_convertvector(__builtin_bit_cast(Bytes8, offsets), Floats8) * -half_at(head + 2));
}
