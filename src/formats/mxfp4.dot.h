// See cpu/isa/weights.h. Quants are twice the values, scales half of 2^(e − 127).
struct Dot {
  static constexpr u32 block_weights = 32, block_bytes = 17, group = 32, largest = 0;
  static constexpr bool has_offsets = false;

  PRONK_INLINE static void scales(const u8* unit, u32 groups, UnitScales& out) {
    using Words = Lanes<u32, 8>;
    Words e = {};
    for (u32 g = 0; g < groups; ++g) e[g] = unit[g * block_bytes];
    const Words subnormal = Words(0x200000) << (e & 1);  // of e below 2
    store_vector(out.scales, Floats8(e < 2 ? subnormal : (e - 1) << 23));
    for (u32 g = groups; g < 8; ++g) out.scales[g] = 0;
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    constexpr Lanes<i8, 16> values = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    return looked_up_nibbles(Bytes16(values), unit + part * block_bytes + 1);
  }
};
