// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 weight_bytes = 2;
  PRONK_INLINE static Floats8 floats(const u8* at) {
    using Words = Lanes<u32, 8>;
    return Floats8(__builtin_convertvector(load_vector<Lanes<u16, 8>>(at), Words) << 16);
  }
};
