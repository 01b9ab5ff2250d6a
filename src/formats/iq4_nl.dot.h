// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 block_weights = 32, block_bytes = 18, group = 32, largest = 0;
  static constexpr bool has_offsets = false;

  PRONK_INLINE static void scales(const u8* unit, u32 groups, UnitScales& out) {
    store_vector(out.scales, halves_at(unit, block_bytes, groups));
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    constexpr Lanes<i8, 16> values = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    return looked_up_nibbles(Bytes16(values), unit + part * block_bytes + 2);
  }
};
