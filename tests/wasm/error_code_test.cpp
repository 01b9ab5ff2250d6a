// Errors carry their kind from where they arise.
#include <gtest/gtest.h>

#include <string>

#include "files/gguf.h"

namespace pronk {
namespace {

ErrorCode code_of_header(std::string head) {
  head.resize(64);
  const auto parsed = files::parse_gguf({reinterpret_cast<const u8*>(head.data()), head.size()}, head.size());
  return parsed ? ErrorCode::internal : parsed.error().code;
}

TEST(ErrorCode, AFileOfAnotherVersionIsUnsupportedAndADamagedOneLeavesItToTheCall) {
  EXPECT_EQ(code_of_header(std::string("GGUF\x09\0\0\0", 8)), ErrorCode::unsupported);
  EXPECT_EQ(code_of_header(std::string("FUGG\0\0\0\3", 8)), ErrorCode::unsupported);  // big-endian
  EXPECT_EQ(code_of_header("no model"), ErrorCode::unspecified);
}

TEST(ErrorCode, IsUnspecifiedUnlessSaid) {
  EXPECT_EQ(fail("x").error().code, ErrorCode::unspecified);
  EXPECT_EQ(fail(ErrorCode::device_lost, "x").error().code, ErrorCode::device_lost);
}

}  // namespace
}  // namespace pronk
