// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 block_weights = 32, block_bytes = 18, group = 32, largest = 15;
  static constexpr bool has_offsets = true;

  PRONK_INLINE static void scales(const u8* unit, u32 groups, UnitScales& out) {
    Lanes<u32, 8> bits = {};
    for (u32 i = 0; i < groups; ++i) bits[i] = u32(load_vector<u16>(unit + i * block_bytes)) << 16;
    const Floats8 d = Floats8(bits);
    store_vector(out.scales, d);
    store_vector(out.offsets, -8 * d);
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) { return nibbles(unit + part * block_bytes + 2); }
};
