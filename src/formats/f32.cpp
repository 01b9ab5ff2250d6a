// F32: IEEE single precision, as it is in the file and on the GPU.
#include <cstring>
#include <span>

#include "base/types.h"

namespace pronk::formats::f32 {

void decode(const u8* blocks, u64 count, float* out) { std::memcpy(out, blocks, count * sizeof(float)); }

void encode(const float* weights, u64 count, u8* blocks) { std::memcpy(blocks, weights, count * sizeof(float)); }

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) {
  std::memcpy(planes[0], blocks, count * sizeof(float));
}

}  // namespace pronk::formats::f32
