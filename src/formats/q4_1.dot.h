// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 block_weights = 32, block_bytes = 20, group = 32, largest = 15;
  static constexpr bool has_offsets = true;

  PRONK_INLINE static void scales(const u8* unit, u32 groups, UnitScales& out) {
    store_vector(out.scales, halves_at(unit, block_bytes, groups));
    store_vector(out.offsets, halves_at(unit + 2, block_bytes, groups));
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) { return nibbles(unit + part * block_bytes + 4); }
};
