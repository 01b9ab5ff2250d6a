// See cpu/isa/weights.h. Quants are twice the values.
struct Dot {
  static constexpr u32 block_weights = 64, block_bytes = 36, group = 16, largest = 0;
  static constexpr bool has_offsets = false;

  // A scale's exponent and mantissa are the upper ones of an f16 whose exponent counts from 8 less.
  PRONK_INLINE static void scales(const u8* unit, u32 groups, UnitScales& out) {
    Lanes<u16, 16> halves = {};
    for (u32 g = 0; g < groups; ++g) {
      const u8 bits = unit[g / 4 * block_bytes + g % 4];
      halves[g] = bits == 0x7f ? 0 : u16((bits & 0x7f) << 7);
    }
    store_vector(out.scales, from_halves(halves.lo) * 128);
    store_vector(out.scales + 8, from_halves(halves.hi) * 128);
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    constexpr Lanes<i8, 16> values = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    const Bytes32 both = looked_up_nibbles(Bytes16(values), unit + part / 2 * block_bytes + 4 + part % 2 * 16);
    using Eights = Lanes<u64, 4>;
    return Bytes32(__builtin_shufflevector(Eights(both), Eights(both), 0, 2, 1, 3));
  }
};
