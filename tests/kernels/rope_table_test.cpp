// The RoPE table against its definition, YaRN's magnitude and the frequencies' divisors included.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/kernels.h"

namespace pronk {
namespace {

// What kernels make of the table at a position: the complex product of two rows.
std::pair<double, double> joined(const std::vector<float>& table, u64 pairs, u32 position, u64 pair) {
  const float* rest = &table[2 * (position % 64 * pairs + pair)];
  const float* whole = &table[2 * ((64 + position / 64) * pairs + pair)];
  return {double(rest[0]) * whole[0] - double(rest[1]) * whole[1],
          double(rest[0]) * whole[1] + double(rest[1]) * whole[0]};
}

TEST(RopeTable, HoldsTheAnglesOfAllPositionsTimesTheMagnitude) {
  constexpr u32 context = 1000;
  for (const double magnitude : {1.0, 1.2079441541679836}) {
    for (const bool scaled : {false, true}) {
      graph::RopeTable rotation{.frequency = {1, 0.3, 1e-4}, .magnitude = magnitude};
      const std::vector<float> factors = scaled ? std::vector<float>{0.5f, 2, 8} : std::vector<float>{};
      const auto table = kernels::rope_table(rotation, factors, context);
      EXPECT_EQ(table.size() * sizeof(float), kernels::rope_table_bytes(6, context));
      for (const u32 position : {0u, 1u, 63u, 64u, 65u, 640u, 999u}) {
        for (u64 pair = 0; pair < 3; ++pair) {
          const double angle = position * rotation.frequency[pair] / (scaled ? factors[pair] : 1);
          const auto [cos, sin] = joined(table, 3, position, pair);
          EXPECT_NEAR(cos, magnitude * std::cos(angle), 2e-7) << position;
          EXPECT_NEAR(sin, magnitude * std::sin(angle), 2e-7) << position;
        }
      }
    }
  }
}

TEST(RopeTable, IsThatOfTheContext) {
  const graph::RopeTable both{.frequency = {1, 0.3}, .long_frequency = {0.5, 0.1}, .long_above = 64};
  EXPECT_EQ(kernels::rope_table(both, {}, 64), kernels::rope_table({.frequency = {1, 0.3}}, {}, 64));
  EXPECT_EQ(kernels::rope_table(both, {}, 65), kernels::rope_table({.frequency = {0.5, 0.1}}, {}, 65));
}

}  // namespace
}  // namespace pronk
