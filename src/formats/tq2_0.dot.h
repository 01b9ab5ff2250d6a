// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 66, group = 32, largest = 3;
  static constexpr bool has_offsets = true;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    const Floats8 d = half_at(unit + 64);
    store_vector(out.scales, d);
    store_vector(out.offsets, -d);
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    return load_vector<Bytes32>(unit + part / 4 * 32) >> u8(part % 4 * 2) & 3;
  }
};
