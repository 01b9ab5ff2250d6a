// See cpu/isa/weights.h.
struct Dot {
  static constexpr u32 weight_bytes = 4;
  PRONK_INLINE static Floats8 floats(const u8* at) { return load_vector<Floats8>(at); }
};
