// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 weight_bytes = 2;
  PRONK_INLINE static Floats8 floats(const u8* at) { return from_halves(load_vector<Lanes<u16, 8>>(at)); }
  PRONK_INLINE static Floats8 finite_floats(const u8* at, Lanes<u16, 8>& seen) {
    return finite_halves(load_vector<Lanes<u16, 8>>(at), seen);
  }
};
