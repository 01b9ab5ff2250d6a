// See cpu/isa/weights.h. Quants are the values of a point's coordinates with their signs.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 82, group = 16, largest = 0;
  static constexpr bool has_offsets = false;
  const u8* book;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    store_vector(out.scales,
                 (__builtin_convertvector(nibbles_in_turn(unit + 74), Floats16) + 0.5f) * (half_at(unit) * 0.25f));
  }
  PRONK_INLINE Bytes32 quants(const u8* unit, u32 part) const {
    const u8* lower = unit + 2 + 4 * part;
    const u32 upper = unit[66 + part];
    const Bytes32 points = eights_at(book, lower[0] | (upper & 3) << 8, lower[1] | (upper >> 2 & 3) << 8,
                                     lower[2] | (upper >> 4 & 3) << 8, lower[3] | (upper >> 6) << 8);
    return with_signs(points, load_vector<u32>(unit + 34 + 4 * part));
  }
};
