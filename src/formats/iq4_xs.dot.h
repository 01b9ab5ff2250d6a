// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 136, group = 32, largest = 0;
  static constexpr bool has_offsets = false;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    using Words = Lanes<u32, 8>;
    constexpr Words pairs = {0, 2, 4, 6, 8, 10, 12, 14};
    const Words upper = Words(u32(load_vector<u16>(unit + 2))) >> pairs & 3;
    const Words lower = Words(load_vector<u32>(unit + 4)) >> (2 * pairs) & 15;
    store_vector(out.scales, (__builtin_convertvector(lower | upper << 4, Floats8) - 32) * half_at(unit));
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    constexpr Lanes<i8, 16> values = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    return looked_up_nibbles(Bytes16(values), unit + 8 + part * 16);
  }
};
