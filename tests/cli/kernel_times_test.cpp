// Times of dispatches, summed up by kernel.
#include "kernel_times.h"

#include <gtest/gtest.h>

namespace pronk::cli {
namespace {

TEST(KernelTimes, SubmissionsThatSampleAreDecode) {
  const KernelTimes times = sum_up({{"gemm A", 0, 4},
                                    {"attention", 0, 2},
                                    {"gemm A", 0, 3},
                                    {"matvec", 1, 1},
                                    {"attention", 1, 0.5},
                                    {"sample_pick TILE=1024", 1, 0.25},
                                    {"matvec", 2, 2},
                                    {"attention", 2, 1.5},
                                    {"sample_pick TILE=1024", 2, 0.25}});
  EXPECT_EQ(times.decoded, 2u);
  ASSERT_EQ(times.prefill.size(), 2u);
  EXPECT_EQ(times.prefill[0].kernel, "gemm A");
  EXPECT_EQ(times.prefill[0].dispatches, 2u);
  EXPECT_EQ(times.prefill[0].milliseconds, 7);
  EXPECT_EQ(times.prefill[1].kernel, "attention");
  ASSERT_EQ(times.decode.size(), 3u);
  EXPECT_EQ(times.decode[0].kernel, "matvec");
  EXPECT_EQ(times.decode[0].milliseconds, 3);
  EXPECT_EQ(times.decode[1].kernel, "attention");
  EXPECT_EQ(times.decode[2].dispatches, 2u);
  EXPECT_EQ(total_ms(times.decode), 5.5);
  EXPECT_TRUE(sum_up({}).decode.empty());
}

}  // namespace
}  // namespace pronk::cli
