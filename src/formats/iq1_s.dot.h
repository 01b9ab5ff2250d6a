// See cpu/isa/weights.h. Quants are a point's coordinates, 0 to 2.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 50, group = 32, largest = 2;
  static constexpr bool has_offsets = true;
  const u8* book;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    using Words = Lanes<u32, 8>;
    const Words groups = __builtin_convertvector(load_vector<Lanes<u16, 8>>(unit + 34), Words);
    const Floats8 scale = __builtin_convertvector(2 * (groups >> 12 & 7) + 1, Floats8) * half_at(unit);
    const Floats8 shift = (groups & 0x8000) != 0 ? Floats8(-1.125f) : Floats8(-0.875f);
    store_vector(out.scales, scale);
    store_vector(out.offsets, scale * shift);
  }
  PRONK_INLINE Bytes32 quants(const u8* unit, u32 part) const {
    const u8* lower = unit + 2 + 4 * part;
    const u32 upper = load_vector<u16>(unit + 34 + 2 * part);
    return eights_at(book, lower[0] | (upper & 7) << 8, lower[1] | (upper >> 3 & 7) << 8,
                     lower[2] | (upper >> 6 & 7) << 8, lower[3] | (upper >> 9 & 7) << 8);
  }
};
