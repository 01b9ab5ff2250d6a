// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 210, group = 16, largest = 63;
  static constexpr bool has_offsets = true;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    const float d = half_at(unit + 208);
    const auto s = __builtin_convertvector(load_vector<Lanes<i8, 16>>(unit + 192), Floats16) * d;
    store_vector(out.scales, s);
    store_vector(out.offsets, -32 * s);
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    const Bytes32 pairs = load_vector<Bytes32>(unit + part / 4 * 64 + part % 2 * 32);
    const Bytes32 upper = load_vector<Bytes32>(unit + 128 + part / 4 * 32) >> u8(part % 4 * 2) & 3;
    return (part % 4 < 2 ? pairs & 15 : upper_nibbles(pairs)) | upper << 4;
  }
};
