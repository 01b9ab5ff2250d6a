// See cpu/isa/weights.h. Quants are the values of a point's coordinates with their signs.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 74, group = 16, largest = 0;
  static constexpr bool has_offsets = false;
  const u8* book;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    store_vector(out.scales,
                 (__builtin_convertvector(nibbles_in_turn(unit + 66), Floats16) + 0.5f) * (half_at(unit) * 0.25f));
  }
  PRONK_INLINE Bytes32 quants(const u8* unit, u32 part) const {
    const u64 codes = load_vector<u64>(unit + 2 + 8 * part);
    const Bytes32 points = eights_at(book, codes & 511, codes >> 16 & 511, codes >> 32 & 511, codes >> 48 & 511);
    u64 sevens = codes >> 9 & 0x007f007f007f007f;
    sevens = (sevens | sevens >> 9) & 0x00003fff00003fff;
    return with_signs(points, eight_signs_of_sevens(u32(sevens | sevens >> 18)));
  }
};
