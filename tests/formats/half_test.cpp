#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pronk {
namespace {

// The value by the definition of binary16, in double.
double f16_value(u16 h) {
  const int exponent = h >> 10 & 31;
  const double mantissa = h & 1023;
  const double magnitude = exponent == 31  ? (mantissa == 0 ? std::numeric_limits<double>::infinity() : std::nan(""))
                           : exponent == 0 ? std::ldexp(mantissa, -24)
                                           : std::ldexp(1024 + mantissa, exponent - 25);
  return h & 0x8000 ? -magnitude : magnitude;
}

// The nearest of the 16-bit values below infinity, ties to the even pattern; value() must rise with the pattern.
template <class F>
u16 nearest(double wanted, u16 infinity, F value) {
  if (wanted != wanted) return 0;
  const u16 sign = std::signbit(wanted) ? 0x8000 : 0;
  const double magnitude = std::fabs(wanted);
  u16 low = 0, high = infinity;  // value(low) <= magnitude < value(high), infinity taken as the next step
  if (std::isinf(magnitude)) return sign | infinity;
  while (high - low > 1) {
    const u16 middle = u16((low + high) / 2);
    (value(middle) <= magnitude ? low : high) = middle;
  }
  const double below = value(low);
  const double above = high == infinity ? 2 * below - value(u16(low - 1)) : value(high);
  const double to_below = magnitude - below, to_above = above - magnitude;
  const bool up = to_above < to_below || (to_above == to_below && low % 2 == 1);
  return sign | (up ? high : low);
}

TEST(Half, EveryF16IsExactAndComesBack) {
  for (u32 h = 0; h < 65536; ++h) {
    const float decoded = f16_to_f32(u16(h));
    const double expected = f16_value(u16(h));
    if (expected != expected) {
      EXPECT_TRUE(std::isnan(decoded)) << h;
      const u16 back = f32_to_f16(decoded);
      EXPECT_TRUE((back & 0x7c00) == 0x7c00 && (back & 0x3ff) != 0) << h;
    } else {
      EXPECT_EQ(double(decoded), expected) << h;
      EXPECT_EQ(std::signbit(decoded), (h & 0x8000) != 0) << h;
      EXPECT_EQ(f32_to_f16(decoded), h);
    }
  }
}

TEST(Half, EveryBf16IsExactAndComesBack) {
  for (u32 h = 0; h < 65536; ++h) {
    const float decoded = bf16_to_f32(u16(h));
    EXPECT_EQ(std::bit_cast<u32>(decoded), h << 16);
    if (std::isnan(decoded)) {
      EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(decoded)))) << h;
    } else {
      EXPECT_EQ(f32_to_bf16(decoded), h);
    }
  }
}

// Between neighbours: the middle, a step of float32 to either side, and points inside.
template <class F, class G>
void check_rounding(u16 infinity, F value, G round) {
  for (u32 h = 0; h < infinity; ++h) {
    const double low = value(u16(h));
    const double high = h + 1 == infinity ? 2 * low - value(u16(h - 1)) : value(u16(h + 1));
    const float middle = float((low + high) / 2);
    const float quarter = float(low + (high - low) / 4), three_quarters = float(low + (high - low) * 3 / 4);
    for (float x : {quarter, std::nextafter(middle, 0.f), middle, std::nextafter(middle, HUGE_VALF), three_quarters}) {
      ASSERT_EQ(round(x), nearest(x, infinity, value)) << h << " " << x;
      ASSERT_EQ(round(-x), nearest(-double(x), infinity, value)) << h << " " << -x;
    }
  }
}

TEST(Half, F16RoundsToNearestEven) {
  check_rounding(0x7c00, f16_value, f32_to_f16);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::max()), 0x7c00);
  EXPECT_EQ(f32_to_f16(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(Half, Bf16RoundsToNearestEven) {
  check_rounding(0x7f80, [](u16 h) { return double(bf16_to_f32(h)); }, f32_to_bf16);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
}

}  // namespace
}  // namespace pronk
