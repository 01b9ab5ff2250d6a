// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 block_weights = 64, block_bytes = 18, group = 32, largest = 3;
  static constexpr bool has_offsets = true;

  PRONK_INLINE static void scales(const u8* unit, u32 groups, UnitScales& out) {
    const Floats8 each = halves_at(unit, block_bytes, groups / 2);
    const Floats8 d = __builtin_shufflevector(each, each, 0, 0, 1, 1, 2, 2, 3, 3);
    store_vector(out.scales, d);
    store_vector(out.offsets, -d);
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    using Words = Lanes<u32, 8>;
    const Lanes<u8, 8> packed = load_vector<Lanes<u8, 8>>(unit + part / 2 * block_bytes + 2 + part % 2 * 8);
    const Words fours = __builtin_convertvector(packed, Words), pairs = fours | fours << 6;
    return Bytes32((pairs | pairs << 12) & 0x03030303);
  }
};
