// The CPU's share of a pump(): bounded, with no logits in prefill, and cancelled anywhere without harm.
#include "engine/cpu_runner.h"

#include <gtest/gtest.h>

#include "support/engine_driver.h"

namespace pronk::engine {
namespace {

constexpr u32 vocab = 6000;

// A chunk of tokens takes several pumps.
const test::ModelFiles& files() {
  static const test::ModelFiles made = test::model_files({.layers = 6,
                                                          .width = 256,
                                                          .feed_forward = 2048,
                                                          .vocab = vocab,
                                                          .heads = 4,
                                                          .kv_heads = 2,
                                                          .dim = 64,
                                                          .matrix = "F16"});
  return made;
}

struct LoadedRunner {
  files::Gguf file;
  models::Model model;
  std::unique_ptr<WeightMemory> weights;
  std::unique_ptr<CpuRunner> runner;

  LoadedRunner() {
    const std::vector<u8>& bytes = files()[0];
    file = std::move(*files::parse_gguf(bytes, bytes.size())->gguf);
    model = std::move(*models::read_model(file));
    weights = std::make_unique<WeightMemory>(file, model.graph);
    runner = std::make_unique<CpuRunner>(model, *weights, 200, graph::KvType::f16, false);
    EXPECT_TRUE(weights->map(0, bytes));
    EXPECT_TRUE(runner->weights_done());
  }

  std::vector<u32> finish() {
    std::vector<u32> tokens;
    for (u32 pumps = 0; !runner->finished() && pumps < 100'000; ++pumps) {
      EXPECT_TRUE(runner->pump());
      for (Sampled sampled; runner->next(sampled);) tokens.push_back(sampled.token);
    }
    EXPECT_TRUE(runner->finished());
    return tokens;
  }
};

Run run_of(u32 length, u32 position = 0) {
  const auto tokens = test::some_tokens(length, 4, vocab);
  return {.tokens = {tokens.begin() + position, tokens.end()},
          .position = position,
          .count = 6,
          .sampling = {.temperature = 1, .seed = 3}};
}

TEST(CpuRunner, APumpMakesABoundedNumberOfMultiplyAdds) {
  LoadedRunner loaded;
  CpuRunner& runner = *loaded.runner;
  runner.start(run_of(100));
  u32 most_pumps_a_chunk = 0;
  for (u32 pumps = 0, cached = 0; !runner.finished();) {
    const u64 before = runner.work().multiply_adds;
    ASSERT_TRUE(runner.pump());
    // The smallest piece of work here is a panel of rows of the widest matrix for a chunk of tokens.
    EXPECT_LT(runner.work().multiply_adds - before,
              CpuRunner::pump_multiply_adds + cpu::best_kernels().float_panel_rows * 2048 * 128);
    pumps = runner.cached_tokens() == cached ? pumps + 1 : 0;
    cached = runner.cached_tokens();
    most_pumps_a_chunk = std::max(most_pumps_a_chunk, pumps);
    for (Sampled sampled; runner.next(sampled);) {
    }
  }
  EXPECT_GE(most_pumps_a_chunk, 2u);
}

TEST(CpuRunner, PrefillMakesNoLogits) {
  LoadedRunner loaded;
  loaded.runner->start(run_of(100));
  while (loaded.runner->cached_tokens() < 99) ASSERT_TRUE(loaded.runner->pump());
  EXPECT_EQ(loaded.runner->work().logit_rows, 0u);
  EXPECT_EQ(loaded.finish().size(), 6u);
  EXPECT_EQ(loaded.runner->work().logit_rows, 6u);
}

TEST(CpuRunner, CancelledInMidChunkItGoesOnRight) {
  LoadedRunner straight;
  straight.runner->start(run_of(100));
  const std::vector<u32> expected = straight.finish();
  ASSERT_EQ(expected.size(), 6u);

  LoadedRunner loaded;
  CpuRunner& runner = *loaded.runner;
  runner.start(run_of(100));
  while (runner.cached_tokens() < 32) ASSERT_TRUE(runner.pump());
  runner.cancel();
  // Another text from there on, cancelled when a part of its first chunk is computed.
  runner.start({.tokens = test::some_tokens(60, 9, vocab), .position = 32, .count = 5});
  ASSERT_TRUE(runner.pump());
  runner.cancel();
  EXPECT_TRUE(runner.finished());
  EXPECT_FALSE(runner.wants_pump());
  EXPECT_EQ(runner.cached_tokens(), 32u);

  runner.start(run_of(100, 32));
  EXPECT_EQ(loaded.finish(), expected);
}

}  // namespace
}  // namespace pronk::engine
