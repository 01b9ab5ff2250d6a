// NF4 (QLoRA, arXiv 2305.14314): 64 weights as d times one of sixteen numbers, the quantiles of a normal distribution
// as bitsandbytes has them. A block is d as float32 and 32 bytes of two codes each, the first weight's in the high
// nibble. A type of pronk's own, as AQLM.rs has its embeddings. On the GPU plane 0 has the codes, plane 1 has d.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "formats/format.h"

namespace pronk::formats::nf4 {

constexpr u32 block_weights = 64, code_bytes = block_weights / 2, block_bytes = sizeof(float) + code_bytes;
constexpr float values[16] = {-1,
                              -0.696192801f,
                              -0.525073051f,
                              -0.394917488f,
                              -0.284441382f,
                              -0.18477343f,
                              -0.0910500363f,
                              0,
                              0.0795802996f,
                              0.160930201f,
                              0.246112302f,
                              0.337915242f,
                              0.440709829f,
                              0.562617004f,
                              0.722956836f,
                              1};

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    const float d = load_le<float>(blocks);
    for (u32 i = 0; i < code_bytes; ++i) {
      const u8 codes = blocks[sizeof d + i];
      *out++ = d * values[codes >> 4];
      *out++ = d * values[codes & 15];
    }
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    std::memcpy(planes[0] + b * code_bytes, blocks + sizeof(float), code_bytes);
    std::memcpy(planes[1] + b * sizeof(float), blocks, sizeof(float));
  }
}

}  // namespace pronk::formats::nf4
