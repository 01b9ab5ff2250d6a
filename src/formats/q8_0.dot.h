// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 block_weights = 32, block_bytes = 34, group = 32, largest = 0;
  static constexpr bool has_offsets = false;

  PRONK_INLINE static void scales(const u8* unit, u32 groups, UnitScales& out) {
    store_vector(out.scales, halves_at(unit, block_bytes, groups));
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    return load_vector<Bytes32>(unit + part * block_bytes + 2);
  }
};
