// The 16-byte head that two formats of 256 weights share: f16 d and e, then for each of eight groups of 32 weights a
// scale s and an offset t of six bits; a weight is d · s · n − e · t.
// In the file s of the groups 0–3 are the low six bits of bytes 4–7 and t those of bytes 8–11; the groups 4–7 have
// their low nibbles in bytes 12–15 (s in the low half) and their upper two bits above the others' six.
// On the GPU a head is four words: d and e; for groups 0–3, then 4–7, a byte with the low nibbles (s in the low half);
// last a nibble for each group with the upper bits (s in the low half).
#pragma once

#include <cstring>

#include "base/bytes.h"
#include "base/half.h"
#include "base/types.h"

namespace pronk::formats {

struct SixBitScales {
  static constexpr u32 groups = 8, group_weights = 32, bytes = 16;
  u16 d = 0, e = 0;  // f16
  u8 scales[groups] = {}, offsets[groups] = {};
};

inline SixBitScales read_head(const u8* head) {
  SixBitScales out{load_le<u16>(head), load_le<u16>(head + 2)};
  for (u32 g = 0; g < 4; ++g) {
    const u32 first = head[4 + g], second = head[8 + g], nibbles = head[12 + g];
    out.scales[g] = first & 63;
    out.offsets[g] = second & 63;
    out.scales[4 + g] = u8((nibbles & 15) | first >> 6 << 4);
    out.offsets[4 + g] = u8(nibbles >> 4 | second >> 6 << 4);
  }
  return out;
}

inline void write_head(const SixBitScales& in, u8* head) {
  store_le(head, in.d);
  store_le(head + 2, in.e);
  for (u32 g = 0; g < 4; ++g) {
    head[4 + g] = u8(in.scales[g] | in.scales[4 + g] >> 4 << 6);
    head[8 + g] = u8(in.offsets[g] | in.offsets[4 + g] >> 4 << 6);
    head[12 + g] = u8((in.scales[4 + g] & 15) | (in.offsets[4 + g] & 15) << 4);
  }
}

inline void write_gpu_head(const SixBitScales& in, u8* head) {
  store_le(head, in.d);
  store_le(head + 2, in.e);
  u32 upper = 0;
  for (u32 g = 0; g < SixBitScales::groups; ++g) {
    head[4 + g] = u8((in.scales[g] & 15) | (in.offsets[g] & 15) << 4);
    upper |= u32(in.scales[g] >> 4 | in.offsets[g] >> 4 << 2) << 4 * g;
  }
  store_le(head + 12, upper);
}

// Weights from their quants, one a byte.
inline void scale_quants(const SixBitScales& head, const u8* quants, float* out) {
  const float d = f16_to_f32(head.d), e = f16_to_f32(head.e);
  for (u32 g = 0; g < SixBitScales::groups; ++g) {
    const float scale = d * float(head.scales[g]);
    const float offset = e * float(head.offsets[g]);
    for (u32 i = 0; i < SixBitScales::group_weights; ++i, ++quants, ++out) *out = scale * float(*quants) - offset;
  }
}

}  // namespace pronk::formats
