// See cpu/isa/weights.h. Quants are the digits of base three, 0 to 2.
struct Dot {
  static constexpr u32 block_weights = 256, block_bytes = 54, group = 32, largest = 2;
  static constexpr bool has_offsets = true;

  PRONK_INLINE static void scales(const u8* unit, u32, UnitScales& out) {
    const Floats8 d = half_at(unit + 52);
    store_vector(out.scales, d);
    store_vector(out.offsets, -d);
  }
  // Digit n of 16 bytes: the upper byte of three times (byte · 3^n mod 256).
  PRONK_INLINE static Bytes16 digits(const Bytes16& bytes, u8 power) {
    const Bytes16 rest = bytes * power;
    const Lanes<u16, 16> wide = __builtin_convertvector(rest, decltype(wide));
    return __builtin_convertvector(wide * 3 >> 8, Bytes16);
  }
  PRONK_INLINE static Bytes32 quants(const u8* unit, u32 part) {
    constexpr u8 powers[] = {1, 3, 9, 27, 81};
    if (part < 5) {
      return join(digits(load_vector<Bytes16>(unit), powers[part]),
                  digits(load_vector<Bytes16>(unit + 16), powers[part]));
    }
    const Bytes16 bytes = load_vector<Bytes16>(unit + 32);
    if (part < 7) return join(digits(bytes, powers[2 * part - 10]), digits(bytes, powers[2 * part - 9]));
    const Lanes<u8, 4> last = load_vector<Lanes<u8, 4>>(unit + 48);
    const Bytes16 four = __builtin_shufflevector(last, last, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
    constexpr Bytes16 each = {1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27};
    return join(digits(bytes, 81), digits(four * each, 1));
  }
};
