// See cpu/isa/weights.h. Quants are the values of a point's coordinates with their signs.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 110, group = 32, largest = 0;
  static constexpr bool has_offsets = false;
  const u8* book;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    const Lanes<u8, 4> pairs = load_vector<Lanes<u8, 4>>(unit + 106);
    const Lanes<u8, 8> s = __builtin_shufflevector(pairs & 15, pairs >> 4, 0, 4, 1, 5, 2, 6, 3, 7);
    store_vector(out.scales, __builtin_convertvector(2 * s + 1, Floats8) * half_at(unit));
  }
  PRONK_INLINE Bytes32 quants(const u8* unit, u32 part) const {
    return with_signs(fours_at(book, unit + 2 + 8 * part, unit[66 + part]), load_vector<u32>(unit + 74 + 4 * part));
  }
};
