// Blocks of any weight format without an encoder: random bytes, kept where they stand for weights of a sensible size.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "formats/format.h"

namespace pronk::test {

// count blocks; in each the largest magnitude lies between 1e-6 and `most`, so scales are small, negative or f16
// subnormals, and quants anything.
inline std::vector<u8> random_blocks(const formats::Format& format, u64 count, u32 seed, float most = 8) {
  std::mt19937 random(seed);
  std::vector<u8> blocks(count * format.block_bytes);
  std::vector<float> weights(format.block_weights);
  for (u64 b = 0; b < count; ++b) {
    u8* block = &blocks[b * format.block_bytes];
    float largest = 0;
    do {
      for (u32 i = 0; i < format.block_bytes; ++i) block[i] = u8(random() >> 24);
      format.decode(block, 1, weights.data());
      largest = 0;
      for (float weight : weights) largest = std::isfinite(weight) ? std::max(largest, std::fabs(weight)) : INFINITY;
    } while (!(largest >= 1e-6f && largest <= most));
  }
  return blocks;
}

}  // namespace pronk::test
