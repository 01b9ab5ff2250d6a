#include "kernels/embedded.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace pronk::kernels {
namespace {

TEST(Embedded, HoldsEveryFileOfTheTree) {
  std::vector<std::string> expected;
  const std::filesystem::path src = std::filesystem::path(PRONK_SOURCE_DIR) / "src";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(src / "kernels"))
    if (entry.path().extension() == ".wgsl")
      expected.push_back(entry.path().lexically_relative(src / "kernels").replace_extension().generic_string());
  for (const auto& entry : std::filesystem::directory_iterator(src / "formats"))
    if (entry.path().extension() == ".wgsl") expected.push_back("formats/" + entry.path().stem().string());
  std::sort(expected.begin(), expected.end());
  const auto names = wgsl_names();
  EXPECT_EQ(std::vector<std::string>(names.begin(), names.end()), expected);
}

TEST(Embedded, FindsEachByNameWithoutCommentsAndIndentation) {
  for (std::size_t i = 0; i < wgsl_names().size(); ++i) {
    const std::string_view text = wgsl_source(wgsl_names()[i]);
    EXPECT_EQ(text, wgsl_sources()[i]);
    EXPECT_EQ(text.find("//"), text.npos) << wgsl_names()[i];
    EXPECT_EQ(text.find("\n "), text.npos) << wgsl_names()[i];
    EXPECT_EQ(text.find("\n\n"), text.npos) << wgsl_names()[i];
  }
}

TEST(EmbeddedDeathTest, UnknownNameIsABug) { EXPECT_DEATH(wgsl_source("no such kernel"), "bug at src/kernels"); }

}  // namespace
}  // namespace pronk::kernels
