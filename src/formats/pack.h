// How codecs lay quants out for the GPU, so that a shift and a mask give a fragment four neighbouring weights at once,
// one in each byte of a word.
#pragma once

#include "base/types.h"

namespace pronk::formats {

// quants: one a byte; of each the `bits` bits from bit `shift` up are kept, bits is 1, 2, 4 or 8. A word of out has
// 32 / bits weights: byte j has weight 4k + j at bit bits · k. count: a multiple of 32 / bits.
template <u32 bits>
void pack_fours(const u8* quants, u32 count, u32 shift, u8* out) {
  constexpr u32 fours = 8 / bits;  // in a word
  constexpr u32 mask = (1u << bits) - 1;
  for (u32 i = 0; i < count; i += 4 * fours, out += 4) {
    for (u32 j = 0; j < 4; ++j) {
      u32 byte = 0;
      for (u32 k = 0; k < fours; ++k) byte |= (quants[i + 4 * k + j] >> shift & mask) << bits * k;
      out[j] = u8(byte);
    }
  }
}

}  // namespace pronk::formats
