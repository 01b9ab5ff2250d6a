// See cpu/isa/weights.h. Quants are 8c + 2, or 8c where 1/8 is taken off: a weight is scale / 8 · (quant − 9).
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 56, group = 16, largest = 18;
  static constexpr bool has_offsets = true;
  const u8* book;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    const u64 packed = load_vector<u64>(unit + 48);
    const u64 top = packed & 0xf000f000f000f000;
    const u16 half = u16(top >> 12 | top >> 24 | top >> 36 | top >> 48);
    using Words = Lanes<u32, 16>;
    const Lanes<u16, 4> four = load_vector<Lanes<u16, 4>>(unit + 48);
    const Words each = __builtin_convertvector(
        __builtin_shufflevector(four, four, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), Words);
    constexpr Words shifts = {0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9};
    const float eighth = half_at(reinterpret_cast<const u8*>(&half)) / 8;
    const Floats16 scale = __builtin_convertvector(2 * (each >> shifts & 7) + 1, Floats16) * eighth;
    store_vector(out.scales, scale);
    store_vector(out.offsets, scale * -9);
  }
  PRONK_INLINE Bytes32 quants(const u8* unit, u32 part) const {
    const u8* lower = unit + 4 * part;
    const u32 upper = load_vector<u16>(unit + 32 + 2 * part);
    const Bytes32 points = eights_at(book, lower[0] | (upper & 7) << 8, lower[1] | (upper >> 4 & 7) << 8,
                                     lower[2] | (upper >> 8 & 7) << 8, lower[3] | (upper >> 12 & 7) << 8);
    using Eights = Lanes<u64, 4>;
    constexpr Eights off = {8, 128, 2048, 32768};
    const Eights taken = Eights((Eights(u64(upper)) & off) != 0);
    return (points << 3) + (Bytes32(~taken) & 2);
  }
};
