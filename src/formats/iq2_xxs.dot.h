// See cpu/isa/weights.h. Quants are the values of a point's coordinates with their signs.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 66, group = 32, largest = 0;
  static constexpr bool has_offsets = false;
  const u8* book;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    Lanes<u32, 8> s;
    for (u32 g = 0; g < 8; ++g) s[g] = unit[2 + 8 * g + 7] >> 4;
    store_vector(out.scales, (__builtin_convertvector(s, Floats8) + 0.5f) * (half_at(unit) * 0.25f));
  }
  PRONK_INLINE Bytes32 quants(const u8* unit, u32 part) const {
    const u8* points = unit + 2 + 8 * part;
    return with_signs(eights_at(book, points[0], points[1], points[2], points[3]),
                      eight_signs_of_sevens(load_vector<u32>(points + 4)));
  }
};
