// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 110, group = 16, largest = 7;
  static constexpr bool has_offsets = true;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    const u8* packed = unit + 96;
    const Lanes<u8, 8> low = load_vector<Lanes<u8, 8>>(packed);
    const Lanes<u8, 4> upper = load_vector<Lanes<u8, 4>>(packed + 8);
    const Bytes16 lower =
        __builtin_shufflevector(low & 15, low >> 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const Bytes16 four = __builtin_shufflevector(upper, upper, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
    constexpr Bytes16 shifts = {0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6};
    const Bytes16 s = lower | (four >> shifts & 3) << 4;
    const Floats16 scale = (__builtin_convertvector(s, Floats16) - 32) * half_at(unit + 108);
    store_vector(out.scales, scale);
    store_vector(out.offsets, -4 * scale);
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    const Bytes32 lower = load_vector<Bytes32>(unit + 32 + part / 4 * 32) >> u8(part % 4 * 2) & 3;
    return lower | (load_vector<Bytes32>(unit) >> u8(part) & 1) << 2;
  }
};
