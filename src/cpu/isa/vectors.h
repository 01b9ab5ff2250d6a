// What all primitives and weight formats are written with: clang's vectors, which become the instructions of whatever
// is compiled for. Included once in the namespace of each instruction set (begin.h): nothing here is shared between
// them, so that no linker can put one's code in the place of another's.

#define PRONK_INLINE [[gnu::always_inline]] inline

using Bytes16 = Lanes<u8, 16>;
using Bytes32 = Lanes<u8, 32>;
using Floats4 = Lanes<float, 4>;
using Floats8 = Lanes<float, 8>;
using Floats16 = Lanes<float, 16>;
using Ints8 = Lanes<i32, 8>;

template <class Vector>
PRONK_INLINE Vector load_vector(const void* at) {
  Vector vector;
  __builtin_memcpy(&vector, at, sizeof vector);
  return vector;
}

template <class Vector>
PRONK_INLINE void store_vector(void* at, const Vector& vector) {
  __builtin_memcpy(at, &vector, sizeof vector);
}

PRONK_INLINE Bytes32 join(const Bytes16& low, const Bytes16& high) {
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                                 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
}
PRONK_INLINE Bytes16 low_half(const Bytes32& v) {
  return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
PRONK_INLINE Bytes16 high_half(const Bytes32& v) {
  return __builtin_shufflevector(v, v, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
}

// Eight f16 to floats with integer instructions, subnormals, infinity and NaN included.
PRONK_INLINE Floats8 halves_by_bits(const Lanes<u16, 8>& halves) {
  using Words = Lanes<u32, 8>;
  const Words bits = __builtin_convertvector(halves, Words);
  const Words magnitude = bits & 0x7fff;
  const Floats8 scaled = Floats8(magnitude << 13) * 0x1p112f;
  const Words special = Words(magnitude >= 0x7c00) & 0x7f800000;
  return Floats8(Words(scaled) | special | (bits & 0x8000) << 16);
}

// a · b + c, rounded once or twice.
template <class Vector>
PRONK_INLINE Vector multiply_add(const Vector& a, const Vector& b, const Vector& c) {
  return a * b + c;
}

PRONK_INLINE float sum_of(const Floats4& v) { return (v[0] + v[2]) + (v[1] + v[3]); }
PRONK_INLINE float sum_of(const Floats8& v) { return sum_of(v.lo + v.hi); }
PRONK_INLINE float sum_of(const Floats4& a, const Floats8& b) { return sum_of(a + (b.lo + b.hi)); }
PRONK_INLINE float sum_of(const Floats8& a, const Floats8& b) { return sum_of(a + b); }
