// IEEE 754 binary16 and bfloat16 to float32 and back, in integers: subnormals are kept, NaN stays NaN.
#pragma once

#include <bit>

#include "base/types.h"

namespace pronk {

// Without a branch, so that loops over it become vector code.
constexpr float f16_to_f32(u16 h) {
  const u32 magnitude = h & 0x7fffu;
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;  // exact, subnormals too
  const u32 special = magnitude >= 0x7c00u ? 0x7f800000u : 0u;            // infinity and NaN keep their exponent
  return std::bit_cast<float>(std::bit_cast<u32>(scaled) | special | u32(h & 0x8000u) << 16);
}

// Rounds to nearest, ties to even; too large becomes infinity.
constexpr u16 f32_to_f16(float value) {
  const u32 bits = std::bit_cast<u32>(value);
  const u16 sign = u16((bits >> 16) & 0x8000u);
  const u32 magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return u16(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return u16(sign | 0x7c00u);        // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {                                   // below 2⁻¹⁴: the float unit rounds for us
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;  // one unit of 0.5f's last place is 2⁻²⁴
    return u16(sign | (std::bit_cast<u32>(shifted) - 0x3f000000u));
  }
  const u32 rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return u16(sign | ((rounded - 0x38000000u) >> 13));
}

constexpr float bf16_to_f32(u16 h) { return std::bit_cast<float>(u32(h) << 16); }

// Rounds to nearest, ties to even.
constexpr u16 f32_to_bf16(float value) {
  const u32 bits = std::bit_cast<u32>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return u16((bits >> 16) | 0x40u);
  return u16((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace pronk
