// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 84, group = 16, largest = 3;
  static constexpr bool has_offsets = true;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    const Bytes16 pairs = load_vector<Bytes16>(unit);
    store_vector(out.scales, __builtin_convertvector(pairs & 15, Floats16) * half_at(unit + 80));
    store_vector(out.offsets, __builtin_convertvector(pairs >> 4, Floats16) * -half_at(unit + 82));
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    return load_vector<Bytes32>(unit + 16 + part / 4 * 32) >> u8(part % 4 * 2) & 3;
  }
};
