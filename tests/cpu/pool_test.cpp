#include "cpu/pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace pronk::cpu {
namespace {

TEST(Pool, EveryPartIsDoneOnce) {
  for (const u32 threads : {1u, 2u, 3u, 8u}) {
    Pool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (u32 job = 0; job < 2000; ++job) {
      const u32 parts = job % 17;
      std::vector<u32> done(parts);  // not atomic: two threads on one part would be a race, and wrong sums
      pool.run(parts, [&](u32 part, u32 thread) {
        EXPECT_LT(thread, threads);
        done[part] += part + job;
      });
      for (u32 part = 0; part < parts; ++part) ASSERT_EQ(done[part], part + job);
    }
  }
}

TEST(Pool, SleepersAreWoken) {
  Pool pool(3);
  for (u32 job = 0; job < 5; ++job) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // beyond their spin
    std::atomic<u32> sum = 0;
    pool.run(30, [&](u32 part, u32) { sum += part; });
    EXPECT_EQ(sum, 435u);
  }
}

// The caller goes on with the parts that are left while another thread is held up, and waits for that one's own only.
TEST(Pool, AThreadThatIsHeldUpHoldsUpItsPartOnly) {
  constexpr u32 parts = 100;
  Pool pool(2);
  std::atomic<u32> by_caller = 0, by_other = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);  // of a pool that leaves it more
  while (by_other == 0) {                                                       // until it takes one
    by_caller = 0;
    pool.run(parts, [&](u32, u32 thread) {
      ++(thread == 0 ? by_caller : by_other);
      if (thread == 0) return;
      while (by_caller + by_other < parts && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    });
  }
  EXPECT_EQ(by_other, 1u);
  EXPECT_EQ(by_caller, parts - 1);
}

// How many of a job's parts another thread does. slow: how long it takes for each.
u32 done_by_the_other(Pool& pool, std::chrono::milliseconds slow) {
  std::atomic<u32> by_other = 0;
  pool.run(20, [&](u32, u32 thread) {
    by_other += thread != 0;
    std::this_thread::sleep_for(thread == 0 ? std::chrono::milliseconds(1) : slow);
  });
  return by_other;
}

TEST(Pool, ACallerThatHadToWaitWorksAlone) {
  using namespace std::chrono_literals;
  Pool pool(2);
  // Each wait makes the time alone longer, up to a quarter of a second; a machine that stands still may miss one.
  bool alone = false;
  for (u32 i = 0; i < 100 && !alone; ++i) {
    while (done_by_the_other(pool, 100ms) == 0) {
    }
    alone = done_by_the_other(pool, 0ms) == 0;
  }
  EXPECT_TRUE(alone);
  bool together = false;
  for (u32 i = 0; i < 1000 && !together; ++i) together = done_by_the_other(pool, 1ms) > 0;
  EXPECT_TRUE(together);
}

TEST(Pool, EndsWhileItsThreadsSleepOrSpin) {
  for (u32 i = 0; i < 50; ++i) {
    Pool pool(4);
    if (i % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    pool.run(i % 3, [](u32, u32) {});
  }
}

}  // namespace
}  // namespace pronk::cpu
