// See cpu/isa/weights.h. Quants are 0 and 1: a weight is 2d · quant − d.
struct Dot {
  static constexpr u32 block_weights = 128, block_bytes = 18, group = 32, largest = 1;
  static constexpr bool has_offsets = true;

  PRONK_INLINE static void scales(const u8* unit, u32 groups, UnitScales& out) {
    const Floats8 two = halves_at(unit, block_bytes, groups / 4);
    const Floats8 d = groups == 8 ? __builtin_shufflevector(two, two, 0, 0, 0, 0, 1, 1, 1, 1)
                                  : __builtin_shufflevector(two, two, 0, 0, 0, 0, 4, 4, 4, 4);
    store_vector(out.scales, 2 * d);
    store_vector(out.offsets, -d);
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    return set_bits(unit + part / 4 * block_bytes + 2 + part % 4 * 4) & 1;
  }
};
