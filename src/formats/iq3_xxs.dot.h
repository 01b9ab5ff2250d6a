// See cpu/isa/weights.h. Quants are the values of a point's coordinates with their signs.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 98, group = 32, largest = 0;
  static constexpr bool has_offsets = false;
  const u8* book;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    const Lanes<u32, 8> s = load_vector<Lanes<u32, 8>>(unit + 66) >> 28;
    store_vector(out.scales, (__builtin_convertvector(s, Floats8) + 0.5f) * (half_at(unit) * 0.5f));
  }
  PRONK_INLINE Bytes32 quants(const u8* unit, u32 part) const {
    return with_signs(fours_at(book, unit + 2 + 8 * part, 0),
                      eight_signs_of_sevens(load_vector<u32>(unit + 66 + 4 * part)));
  }
};
