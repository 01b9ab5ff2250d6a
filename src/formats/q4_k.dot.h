// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 144, group = 32, largest = 15;
  static constexpr bool has_offsets = true;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) { six_bit_scales(unit, out); }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    const Bytes32 pairs = load_vector<Bytes32>(unit + 16 + part / 2 * 32);
    return part % 2 == 0 ? pairs & 15 : upper_nibbles(pairs);
  }
};
