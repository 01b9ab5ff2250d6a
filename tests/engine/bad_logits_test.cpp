// A model whose logits are NaN: the run fails and says so, on either back end.
#include <gtest/gtest.h>

#include "support/engine_driver.h"

namespace pronk {
namespace {

constexpr std::string_view message =
    "the model's logits are NaN, or none is finite: its weights are damaged, or its arithmetic overflows";

// The last bytes of the last matrix: every NaN reaches all logits.
test::ModelFiles damaged_files() {
  auto files = test::model_files({});
  std::fill(files[0].end() - 4096, files[0].end(), u8(0xff));
  return files;
}

void expect_failure(std::unique_ptr<gpu::Device> device, const graph::SamplingParams& sampling) {
  auto engine = test::load(damaged_files(), {}, std::move(device));
  ASSERT_TRUE(engine) << engine.error().message;
  const auto tokens = test::generate(**engine, test::some_tokens(9, 1, 250), {.max_tokens = 5, .sampling = sampling});
  ASSERT_FALSE(tokens);
  EXPECT_EQ(tokens.error().message, message);
  EXPECT_FALSE((*engine)->ready());
}

constexpr graph::SamplingParams greedy, sampled{.temperature = 1, .top_k = 40, .top_p = 0.9f};

TEST(BadLogits, FailTheRunOnTheCpu) {
  for (const auto& sampling : {greedy, sampled}) expect_failure(nullptr, sampling);
}

TEST(BadLogits, FailTheRunOnTheGpu) {
  for (const auto& sampling : {greedy, sampled}) {
    auto device = gpu::create_native_device();
    if (!device) {
      ASSERT_TRUE(device.error().message.starts_with("no WebGPU adapter")) << device.error().message;
      GTEST_SKIP() << device.error().message;
    }
    expect_failure(std::move(*device), sampling);
  }
}

// What was sampled before comes out; a run that was cancelled is not failed by what still arrives of it.
TEST(BadLogits, InTheMiddleOfARun) {
  auto e = test::NullEngine::load(test::model_files({}), {}, {.complete_reads = false});
  ASSERT_TRUE(e) << e.error().message;
  *e->sampled = [next = 0u]() mutable { return next++ < 2 ? 100u : kernels::bad_logits; };
  Session& session = e->engine->session();
  const auto prompt = test::some_tokens(9, 1, 250);
  ASSERT_TRUE(session.start(prompt, {.max_tokens = 20}));
  ASSERT_TRUE(e->engine->pump());
  e->device->complete_reads(2);
  ASSERT_TRUE(e->engine->pump());
  session.cancel();
  e->device->complete_reads();
  ASSERT_TRUE(e->engine->pump());
  *e->sampled = [next = 0u]() mutable { return next++ < 2 ? 100u : kernels::bad_logits; };
  ASSERT_TRUE(session.start(prompt, {.max_tokens = 20}));
  ASSERT_TRUE(e->engine->pump());
  e->device->complete_reads();
  const Status failed = e->engine->pump();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, message);
}

}  // namespace
}  // namespace pronk
