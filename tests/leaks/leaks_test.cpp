// What the leak checker says of programs that leak on purpose (tests/leaks/programs): what a driver forgets fails
// nothing, what pronk forgets does, with or without such a driver.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "gpu/native.h"

namespace pronk {
namespace {

constexpr int leak_status = 1;  // AddressSanitizer's, whatever it has found
constexpr const char* program = PRONK_BINARY_DIR "/tests/leaking_program ";

struct Ran {
  int status = -1;
  std::string out;  // with stderr
};

Ran run(const std::string& command) {
  Ran ran;
  std::FILE* const pipe = ::popen(("timeout 1500 env " + command + " 2>&1").c_str(), "r");
  if (!pipe) return ran;
  char part[4096];
  while (const std::size_t got = std::fread(part, 1, sizeof part, pipe)) ran.out.append(part, got);
  const int status = ::pclose(pipe);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

// With each way to leak that the program knows: it is found, and nothing else is.
void expect_leaks(const std::string& command) {
  for (const char* way : {"malloc", "realloc", "new", "strdup", "opendir", "curl_easy_init"}) {
    const Ran ran = run(command + way);
    EXPECT_EQ(ran.status, leak_status) << way << "\n" << ran.out;
    EXPECT_NE(ran.out.find("LeakSanitizer: detected memory leaks"), std::string::npos) << way << "\n" << ran.out;
    const std::size_t first = ran.out.find("Direct leak"), second = ran.out.find("Direct leak", first + 1);
    EXPECT_TRUE(first != std::string::npos && second == std::string::npos) << way << "\n" << ran.out;
  }
}

TEST(Leaks, OfPronkAreFound) {
  EXPECT_EQ(run(program).status, 0);
  expect_leaks(program);
}

// With the machine's own driver behind one that leaks.
class DriverLeaks : public testing::Test {
 protected:
  void SetUp() override {
    const auto device = gpu::create_native_device();
    if (!device) GTEST_SKIP() << device.error().message;
    if (real_driver().empty()) GTEST_SKIP() << "VK_DRIVER_FILES names no driver";
    folder_ = testing::TempDir() + "pronk-leaks-XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    const nlohmann::json manifest = {
        {"file_format_version", "1.0.0"},
        {"ICD", {{"library_path", PRONK_BINARY_DIR "/tests/libleaking_driver.so"}, {"api_version", "1.1.0"}}}};
    const std::string path = folder_ + "/driver.json";
    std::ofstream(path) << manifest;
    environment_ =
        "VK_DRIVER_FILES=" + path + " VK_ICD_FILENAMES=" + path + " PRONK_REAL_DRIVER=" + real_driver() + " ";
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  // The library that the first manifest of VK_DRIVER_FILES names; a path there counts from the manifest's folder.
  static std::string real_driver() {
    const char* const files = std::getenv("VK_DRIVER_FILES");
    const std::string first = files ? std::string(files).substr(0, std::string(files).find(':')) : "";
    std::ifstream file(first);
    const auto manifest = nlohmann::json::parse(file, nullptr, false);
    if (!manifest.is_object() || !manifest["ICD"]["library_path"].is_string()) return "";
    const std::string library = manifest["ICD"]["library_path"];
    return library.find('/') == library.npos ? library
                                             : (std::filesystem::path(first).parent_path() / library).string();
  }

  std::string folder_, environment_;
};

TEST_F(DriverLeaks, FailNoProgram) {
  const Ran ran = run(environment_ + program + "gpu");
  EXPECT_EQ(ran.status, 0) << ran.out;
  const Ran twice = run(environment_ + program + "gpu gpu");  // loaded anew
  EXPECT_EQ(twice.status, 0) << twice.out;
}

TEST_F(DriverLeaks, FailNoCommand) {
  const Ran ran = run(environment_ + PRONK_BINARY_DIR "/pronk test-ops --quick --op matvec --format Q8_0");
  EXPECT_EQ(ran.status, 0) << ran.out;
}

TEST_F(DriverLeaks, HideNoneOfPronk) { expect_leaks(environment_ + program + "gpu "); }

}  // namespace
}  // namespace pronk
