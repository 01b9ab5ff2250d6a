#include "cpu/processors.h"

#include <gtest/gtest.h>

#include <vector>

namespace pronk::cpu {
namespace {

using Processors = std::vector<Processor>;

TEST(Processors, OneThreadACore) {
  EXPECT_EQ(threads_for(Processors{{.core = 0}, {.core = 1}, {.core = 0}, {.core = 1}}, 0), 2u);
  EXPECT_EQ(threads_for(Processors{{.core = 5}}, 0), 1u);
  EXPECT_EQ(threads_for(Processors{}, 0), 1u);  // nothing is known
}

TEST(Processors, OfThoseThatAreFast) {
  Processors phone;
  for (u32 core = 0; core < 4; ++core) phone.push_back({.core = core, .capacity = 380});
  for (u32 core = 4; core < 7; ++core) phone.push_back({.core = core, .capacity = 760});
  phone.push_back({.core = 7, .capacity = 1024});
  EXPECT_EQ(threads_for(phone, 0), 4u);

  Processors desktop;
  for (u32 id = 0; id < 16; ++id) desktop.push_back({.core = id / 2, .frequency = id < 4 ? 5'400'000u : 5'200'000u});
  for (u32 core = 8; core < 16; ++core) desktop.push_back({.core = core, .frequency = 4'000'000});
  EXPECT_EQ(threads_for(desktop, 0), 8u);
  // Only small ones may be used: they are the fastest there are.
  EXPECT_EQ(threads_for(std::span(desktop).subspan(16), 0), 8u);
}

TEST(Processors, AsTheQuotaAllows) {
  const Processors eight{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}};
  EXPECT_EQ(threads_for(eight, 0), 8u);
  EXPECT_EQ(threads_for(eight, 2.5), 2u);
  EXPECT_EQ(threads_for(eight, 0.5), 1u);
  EXPECT_EQ(threads_for(eight, 64), 8u);
}

TEST(Processors, OfThisMachine) {
  EXPECT_GE(default_threads(), 1u);
  EXPECT_LE(default_threads(), most_threads);
}

}  // namespace
}  // namespace pronk::cpu
