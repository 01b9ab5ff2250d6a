// F16: IEEE half precision, as it is in the file and on the GPU.
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/half.h"

namespace pronk::formats::f16 {

void decode(const u8* blocks, u64 count, float* out) {
  for (u64 i = 0; i < count; ++i) out[i] = f16_to_f32(load_le<u16>(blocks + 2 * i));
}

void encode(const float* weights, u64 count, u8* blocks) {
  for (u64 i = 0; i < count; ++i) {
    const u16 half = f32_to_f16(weights[i]);
    std::memcpy(blocks + 2 * i, &half, sizeof half);
  }
}

void repack(const u8* blocks, u64 count, std::span<u8* const> planes) { std::memcpy(planes[0], blocks, count * 2); }

}  // namespace pronk::formats::f16
