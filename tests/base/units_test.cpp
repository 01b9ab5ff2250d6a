// Sizes in messages are decimal, as files and browsers show theirs.
#include "base/units.h"

#include <gtest/gtest.h>

namespace pronk {
namespace {

TEST(Units, MegabytesAreDecimalAndRounded) {
  EXPECT_EQ(megabytes(100'000'000), "100 MB");  // 0.1 GB as someone types it
  EXPECT_EQ(megabytes(177'900'000), "178 MB");
  EXPECT_EQ(megabytes(1 << 20), "1.0 MB");
  EXPECT_EQ(megabytes(9'949'999), "9.9 MB");
  EXPECT_EQ(megabytes(9'950'000), "10 MB");
  EXPECT_EQ(megabytes(0), "0.0 MB");
  EXPECT_EQ(megabytes(12), "0.1 MB");
  EXPECT_EQ(megabytes(~u64{0}), "18446744073710 MB");
}

}  // namespace
}  // namespace pronk
