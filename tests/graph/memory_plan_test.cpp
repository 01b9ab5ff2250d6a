// plan_memory(): its promises on random intervals, and how close it comes to the bound on plain ones.
#include "graph/memory_plan.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace pronk::graph {
namespace {

constexpr u64 alignment = 256;
using Pairs = std::vector<std::pair<u32, u32>>;

u64 total(const MemoryPlan& plan) {
  return std::accumulate(plan.buffer_bytes.begin(), plan.buffer_bytes.end(), u64{0});
}

// The largest sum of aligned bytes alive at one step, step by step.
u64 most_alive(const std::vector<Interval>& intervals, u32 steps) {
  u64 most = 0;
  for (u32 step = 0; step < steps; ++step) {
    u64 sum = 0;
    for (const Interval& i : intervals) sum += i.first <= step && step <= i.last ? align_up(i.bytes, alignment) : 0;
    most = std::max(most, sum);
  }
  return most;
}

void expect_keeps_promises(const std::vector<Interval>& intervals, const Pairs& apart, const MemoryPlan& plan) {
  ASSERT_EQ(plan.ranges.size(), intervals.size());
  for (u32 a = 0; a < intervals.size(); ++a) {
    const Range& at = plan.ranges[a];
    ASSERT_LT(at.buffer, plan.buffer_bytes.size());
    EXPECT_EQ(at.offset % alignment, 0u);
    EXPECT_LE(at.offset + intervals[a].bytes, plan.buffer_bytes[at.buffer]);
    for (u32 b = 0; b < a; ++b) {
      const Range& other = plan.ranges[b];
      const bool in_time = intervals[a].first <= intervals[b].last && intervals[b].first <= intervals[a].last;
      const bool in_place = at.buffer == other.buffer && at.offset < other.offset + intervals[b].bytes &&
                            other.offset < at.offset + intervals[a].bytes;
      EXPECT_FALSE(in_time && in_place) << "intervals " << a << " and " << b;
    }
  }
  for (const auto& [a, b] : apart) {
    if (a != b) EXPECT_NE(plan.ranges[a].buffer, plan.ranges[b].buffer);
  }
  for (u64 bytes : plan.buffer_bytes) EXPECT_EQ(bytes % alignment, 0u);
}

struct Problem {
  std::vector<Interval> intervals;
  Pairs apart;
};

Problem random_problem(std::mt19937& random, u32 steps, u32 pairs) {
  const auto below = [&](u32 n) { return u32(random() % n); };
  Problem problem;
  const u32 count = 1 + below(60);
  for (u32 i = 0; i < count; ++i) {
    const u32 first = below(steps);
    problem.intervals.push_back({below(20) == 0 ? 0 : 1 + below(5000), first, std::min(steps - 1, first + below(8))});
  }
  for (u32 i = 0; i < pairs; ++i) problem.apart.push_back({below(count), below(count)});
  return problem;
}

TEST(MemoryPlan, RandomIntervals) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const Problem problem = random_problem(random, 40, round % 3 * 10);
    const MemoryPlan plan = plan_memory(problem.intervals, problem.apart, alignment);
    expect_keeps_promises(problem.intervals, problem.apart, plan);
    EXPECT_EQ(plan.lower_bound, most_alive(problem.intervals, 40));
    EXPECT_GE(total(plan), plan.lower_bound);
    if (testing::Test::HasFailure()) FAIL() << "round " << round;
  }
}

TEST(MemoryPlan, IsDeterministic) {
  std::mt19937 random(2);
  for (int round = 0; round < 20; ++round) {
    const Problem problem = random_problem(random, 30, 12);
    const MemoryPlan a = plan_memory(problem.intervals, problem.apart, alignment);
    const MemoryPlan b = plan_memory(problem.intervals, problem.apart, alignment);
    EXPECT_EQ(a.buffer_bytes, b.buffer_bytes);
    for (u32 i = 0; i < problem.intervals.size(); ++i) {
      EXPECT_EQ(a.ranges[i].buffer, b.ranges[i].buffer);
      EXPECT_EQ(a.ranges[i].offset, b.ranges[i].offset);
    }
  }
}

TEST(MemoryPlan, OneBufferWhenNothingMustBeApart) {
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    const Problem problem = random_problem(random, 30, 0);
    EXPECT_EQ(plan_memory(problem.intervals, {}, alignment).buffer_bytes.size(), 1u);
  }
}

TEST(MemoryPlan, AChainReusesTwoPlaces) {
  std::vector<Interval> chain;
  for (u32 i = 0; i < 50; ++i) chain.push_back({1024, i, i + 1});
  const MemoryPlan plan = plan_memory(chain, {}, alignment);
  EXPECT_EQ(plan.lower_bound, 2048u);
  EXPECT_EQ(total(plan), 2048u);
}

TEST(MemoryPlan, RandomIntervalsStayNearTheBound) {
  std::mt19937 random(4);
  double worst = 1;
  for (int round = 0; round < 200; ++round) {
    const Problem problem = random_problem(random, 40, 0);
    const MemoryPlan plan = plan_memory(problem.intervals, {}, alignment);
    if (plan.lower_bound > 0) worst = std::max(worst, double(total(plan)) / double(plan.lower_bound));
  }
  EXPECT_LE(worst, 1.5);
}

TEST(MemoryPlan, Nothing) {
  const MemoryPlan plan = plan_memory({}, {}, alignment);
  EXPECT_TRUE(plan.buffer_bytes.empty());
  EXPECT_EQ(plan.lower_bound, 0u);
}

}  // namespace
}  // namespace pronk::graph
