// pronk test-ops as a program: what it prints, what it refuses. The operations themselves are tests/kernels'.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "gpu/native.h"

namespace pronk::test {
namespace {

using nlohmann::json;

struct Outcome {
  int status = -1;
  std::string out;
};

// With what went to stderr; drivers may write there too.
Outcome test_ops(const std::string& arguments, const char* redirect = " 2>&1") {
  Outcome run;
  const std::string command = "timeout 1500 " PRONK_BINARY_DIR "/pronk test-ops " + arguments + redirect;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) return run;
  std::array<char, 4096> part;
  for (std::size_t got; (got = std::fread(part.data(), 1, part.size(), pipe)) > 0;) run.out.append(part.data(), got);
  const int status = ::pclose(pipe);
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return run;
}

TEST(TestOps, WrongNamesListTheChoices) {
  Outcome run = test_ops("--op convolution");
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(
      run.out,
      "pronk test-ops: --op is 'convolution', not one of "
      "embed|matvec|matvec-batch|gemm|matmul-experts|norm|map|position_scale|rope|take_columns|join_columns|route|"
      "weighted_sum|keep_largest|conv1d|delta_rule|scan|store_kv|rotate_store|attention|attention-decode|adjust_logits|"
      "sampling\n");
  run = test_ops("--format Q4_9");
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(run.out.starts_with("pronk test-ops: --format is 'Q4_9', not one of F32|")) << run.out;
  EXPECT_NE(run.out.find("|Q4_K|"), std::string::npos);
  EXPECT_NE(run.out.find("|q8_0|"), std::string::npos);
}

class TestOpsRuns : public testing::Test {
 protected:
  void SetUp() override {
    const auto device = gpu::create_native_device();
    if (device) return;
    ASSERT_TRUE(device.error().message.starts_with("no WebGPU adapter")) << device.error().message;
    GTEST_SKIP() << device.error().message;
  }
};

TEST_F(TestOpsRuns, ALineForEachTest) {
  const Outcome run = test_ops("--quick --op matvec --format Q4_K");
  EXPECT_EQ(run.status, 0) << run.out;
  for (const char* part : {"adapter\n", "features\n", "limits\n", "max_storage_buffer_binding_size",
                           "\nmatvec           Q4_K      70 x 512", "  ok\n", " tests, 0 failed, "}) {
    EXPECT_NE(run.out.find(part), std::string::npos) << part << " in " << run.out;
  }
}

// An object for what was run: of a format of weights, a type of the cache, an operation. Which operations and formats
// there are: tests/engine/op_list_test.cpp.
TEST_F(TestOpsRuns, QuickJson) {
  using Seen = std::set<std::pair<std::string, std::string>>;
  const std::pair<const char*, Seen> choices[] = {
      {"--format Q4_K",
       {{"embed", "Q4_K"}, {"matvec", "Q4_K"}, {"matvec-batch", "Q4_K"}, {"gemm", "Q4_K"}, {"matmul-experts", "Q4_K"}}},
      {"--format q8_0 --op attention", {{"attention", "q8_0"}, {"attention", "q8_0/q4_0"}}},
      {"--op map", {{"map", "f32"}}},
  };
  for (const auto& [choice, expected] : choices) {
    SCOPED_TRACE(choice);
    const Outcome run = test_ops(std::string("--quick --json ") + choice, " 2>/dev/null");
    ASSERT_EQ(run.status, 0) << run.out;
    const json out = json::parse(run.out, nullptr, false);
    ASSERT_TRUE(out.is_object()) << run.out;
    EXPECT_TRUE(out["adapter"].is_object() && out["features"].is_object() && out["limits"].is_object());
    EXPECT_EQ(out["failed"], 0);
    EXPECT_EQ(out["count"], out["tests"].size());
    Seen seen;
    for (const json& test : out["tests"]) {
      EXPECT_TRUE(test["ok"]) << test;
      EXPECT_LE(test["error"].get<double>(), test["tolerance"].get<double>());
      seen.emplace(test["op"], test["format"]);
    }
    EXPECT_TRUE(std::includes(seen.begin(), seen.end(), expected.begin(), expected.end())) << run.out;
  }
}

TEST_F(TestOpsRuns, Perf) {
  const Outcome run = test_ops("--quick --perf --json --op attention-decode --format q8_0", " 2>/dev/null");
  ASSERT_EQ(run.status, 0) << run.out;
  const json out = json::parse(run.out, nullptr, false);
  ASSERT_TRUE(out.is_object()) << run.out;
  ASSERT_EQ(out["timings"].size(), 1u);
  const json& timing = out["timings"][0];
  EXPECT_EQ(timing["format"], "q8_0");
  for (const char* figure : {"compile_ms", "us", "gb_per_s", "gflop_per_s"})
    EXPECT_GT(timing[figure].get<double>(), 0) << figure;
}

TEST_F(TestOpsRuns, NothingToTest) {
  const Outcome run = test_ops("--op gemm --format q8_0");
  EXPECT_EQ(run.status, 2);
  EXPECT_NE(run.out.find("pronk test-ops: no operation 'gemm' works on format 'q8_0'\n"), std::string::npos) << run.out;
  const Outcome unnamed = test_ops("--op attention --candidate none");
  EXPECT_EQ(unnamed.status, 2);
  EXPECT_NE(unnamed.out.find("pronk test-ops: no operation 'attention' works with candidate 'none'\n"),
            std::string::npos)
      << unnamed.out;
}

}  // namespace
}  // namespace pronk::test
