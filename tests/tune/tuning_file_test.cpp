// Files of measured choices: what is written is read, all else is refused in one line.
#include "tune/tuning_file.h"

#include <gtest/gtest.h>

namespace pronk::tune {
namespace {

const gpu::AdapterInfo adapter{.vendor = "acme", .device = "Anvil 3000", .description = "driver 1.2\nof June"};

kernels::Tuning two_choices() {
  kernels::Tuning tuning;
  tuning.choose("matvec Q4_0 2048x2048", "32x2x32+subgroups");
  tuning.choose("attention_decode f16 32x8x64x64", "64x8x0x8x64");
  return tuning;
}

std::string refusal(std::string_view text, const gpu::AdapterInfo& on = adapter) {
  const auto tuning = parse_tuning(text, on);
  EXPECT_FALSE(tuning) << text;
  return tuning ? "" : tuning.error().message;
}

TEST(TuningFile, IsReadAsItWasWritten) {
  const auto read = parse_tuning(tuning_text(two_choices(), adapter), adapter);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->choices().size(), 2u);
  EXPECT_EQ(read->choices()[1].key, "attention_decode f16 32x8x64x64");
  EXPECT_EQ(read->choices()[1].candidate, "64x8x0x8x64");
  const auto none = parse_tuning(tuning_text({}, adapter), adapter);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->choices().empty());
}

TEST(TuningFile, AnotherAdapterOrDriverIsRefused) {
  const std::string text = tuning_text(two_choices(), adapter);
  gpu::AdapterInfo other = adapter;
  other.description = "driver 1.3";
  EXPECT_NE(refusal(text, other).find("another GPU or driver, 'acme Anvil 3000 driver 1.2 of June'"),
            std::string::npos);
}

TEST(TuningFile, OtherKernelsAreRefused) {
  std::string text = tuning_text(two_choices(), adapter);
  char& digit = text[text.find("kernels ") + 8];
  digit = digit == '0' ? '1' : '0';
  EXPECT_NE(refusal(text).find("another version of the kernels"), std::string::npos);
}

TEST(TuningFile, EveryCutIsRefused) {
  const std::string text = tuning_text(two_choices(), adapter);
  for (std::size_t length = 0; length + 1 < text.size(); ++length) {
    const std::string why = refusal(std::string_view(text).substr(0, length));
    EXPECT_FALSE(why.empty());
    EXPECT_EQ(why.find('\n'), std::string::npos);
  }
}

TEST(TuningFile, DamageIsRefused) {
  const std::string text = tuning_text(two_choices(), adapter);
  for (const auto& [from, to] : {std::pair{"32x2x32+subgroups", "33x2x32+subgroups"},
                                 {"matvec ", "matvex "},
                                 {" = 64x8x0x8x64", " : 64x8x0x8x64"},
                                 {"end 2", "end 3"},
                                 {"tuning 1", "tuning 2"},
                                 {"64x8x0x8x64\n", "64x8x0x8x64\n\n"},
                                 {"end 2\n", "end 2\nmatvec F32 1x1 = 16x4x32\n"}}) {
    std::string damaged = text;
    const std::size_t at = damaged.find(from);
    ASSERT_NE(at, damaged.npos) << from;
    damaged.replace(at, std::string_view(from).size(), to);
    EXPECT_FALSE(refusal(damaged).empty()) << to;
  }
  EXPECT_FALSE(refusal(std::string(2 << 20, 'x')).empty());
}

}  // namespace
}  // namespace pronk::tune
