// Blocks of any weight format that hold random numbers, also of formats that pronk only reads.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <span>
#include <vector>

#include "base/check.h"
#include "formats/format.h"

namespace pronk::test {

// Encodes the values; where there is no encoder, gives random blocks whose largest weight is between spread / 8 and
// spread.
inline std::vector<u8> random_blocks(const formats::Format& format, std::span<const float> values, u32 seed,
                                     float spread) {
  const u64 count = values.size() / format.block_weights;
  std::vector<u8> bytes(count * format.block_bytes);
  if (format.encode) {
    format.encode(values.data(), count, bytes.data());
    return bytes;
  }
  std::mt19937 random(seed);
  std::vector<float> weights(format.block_weights);
  for (u64 block = 0; block < count; ++block) {
    u8* at = bytes.data() + block * format.block_bytes;
    for (u32 tries = 0;; ++tries) {
      CHECK(tries < 10000);
      for (u32 i = 0; i < format.block_bytes; ++i) at[i] = u8(random());
      format.decode(at, 1, weights.data());
      float largest = 0;
      for (float weight : weights) largest = std::isfinite(weight) ? std::max(largest, std::abs(weight)) : INFINITY;
      if (largest >= spread / 8 && largest <= spread) break;
    }
  }
  return bytes;
}

}  // namespace pronk::test
