// Four-bit codes as files and shaders order them.
#pragma once

#include "base/types.h"
#include "formats/pack.h"

namespace pronk::formats {

// In the file `half` bytes hold 2 · half codes: byte j has code j in its low nibble and code j + half in the high one.
// For the GPU each eight codes in a row share a word, as pack_fours orders them. half: 8 or 16.
inline void repack_nibbles(const u8* pairs, u32 half, u8* words) {
  u8 codes[32];
  for (u32 j = 0; j < half; ++j) {
    codes[j] = pairs[j] & 15;
    codes[j + half] = pairs[j] >> 4;
  }
  pack_fours<4>(codes, 2 * half, 0, words);
}

// out[i] = d · values[code i], of the same `half` bytes.
inline void decode_nibbles(const u8* pairs, u32 half, const i8* values, float d, float* out) {
  for (u32 j = 0; j < half; ++j) {
    out[j] = d * float(values[pairs[j] & 15]);
    out[j + half] = d * float(values[pairs[j] >> 4]);
  }
}

// The code whose value is nearest to x; values rise, and of two at the same distance the upper one is taken.
template <u32 count>
u32 nearest(const i8 (&values)[count], float x) {
  u32 code = 0;
  while (code + 1 < count && 2 * x >= float(values[code] + values[code + 1])) ++code;
  return code;
}

}  // namespace pronk::formats
