// Going back on a GPU: where a run goes on from what earlier ones have left, finished or cancelled, it makes the same
// tokens as one from the start.
#include "engine/gpu_runner.h"

#include <gtest/gtest.h>

#include "gpu/native.h"
#include "support/graph_llama.h"

namespace pronk::engine {
namespace {

using graph::ValueId;
using graph::WeightId;

constexpr u32 width = 32, vocab = 61, head = 8, context = 256, chunk = 16;

enum Layers : u8 { window = 1, recurrent = 2, whole = 4 };

// Layers that hand on what they have seen, little else.
class Maker {
 public:
  models::Model make(u32 layers) {
    const WeightId table = weight(vocab, width);
    ValueId x = g_.embed(table);
    for (u32 i = 0; i < 2; ++i) {
      if (layers & window) x = g_.add(x, attend(x, 8));
      if (layers & whole) x = g_.add(x, attend(x, 0));
      if (layers & recurrent) x = g_.add(x, recur(x));
    }
    const ValueId hidden = norm(x);
    models::Model model{.architecture = "test",
                        .hyper = {.layers = 2, .width = width, .vocab = vocab, .context_length = context},
                        .graph = {}};
    model.graph = g_.finish(hidden, g_.matmul(hidden, weight(vocab, width)));
    return model;
  }

 private:
  WeightId weight(u32 rows, u32 cols) {
    return g_.weight("w" + std::to_string(g_.graph().weights.size()), formats::find("F32"), rows, cols);
  }
  ValueId norm(ValueId x) { return g_.rms_norm(x, weight(1, width), 1e-5f); }
  ValueId project(ValueId x, u32 rows) { return g_.matmul(x, weight(rows, g_.width(x))); }

  ValueId attend(ValueId x, u32 window) {
    const ValueId n = norm(x);
    graph::RopeTable table;
    for (u32 i = 0; i < head / 2; ++i) table.frequency.push_back(std::pow(100.0, -2.0 * i / head));
    const auto rope = g_.rope_table(table);
    const auto state = g_.state(graph::KvState{.heads = 2, .key_width = head, .value_width = head, .window = window});
    const ValueId q = g_.rope(project(n, 2 * head), rope, head);
    g_.store_kv(state, g_.rope(project(n, 2 * head), rope, head), project(n, 2 * head));
    return project(g_.attention({.state = state, .q = q, .heads = 2, .scale = 1, .window = window}), width);
  }

  // A convolution, then states that decay by about a tenth a token.
  ValueId recur(ValueId x) {
    const ValueId c = g_.conv1d(project(norm(x), width), weight(width, 4));
    const ValueId decay = g_.map(graph::Function::scale, project(c, 2), {0.02f, -0.1f});
    const ValueId beta = g_.map(graph::Function::sigmoid, project(c, 2));
    const auto unit = [&](ValueId v) { return g_.norm({.x = v, .group = head, .eps = 1e-5f, .scale = 0.35f}); };
    graph::DeltaRule rule{.state = {},
                          .q = unit(project(c, head)),
                          .k = unit(project(c, head)),
                          .v = project(c, 2 * head),
                          .decay = decay,
                          .beta = beta,
                          .key_heads = 1,
                          .value_heads = 2};
    return project(g_.delta_rule(rule), width);
  }

  graph::Builder g_;
};

std::vector<u32> some_tokens(u32 count, u32 seed) {
  std::mt19937 random(seed);
  std::vector<u32> tokens(count);
  for (u32& token : tokens) token = random() % vocab;
  return tokens;
}

// A runner that is ready, on a device of its own.
class Driver {
 public:
  // The model must outlive it.
  explicit Driver(const models::Model& model, u32 steps = DecodePace::least) {
    auto device = gpu::create_native_device();
    CHECK(device);
    device_ = std::move(*device);
    auto plan = plan_gpu(model, {.context = context, .kv = graph::KvType::f32, .chunk = chunk}, device_->limits(),
                         device_->features());
    CHECK(plan);
    runner_ = std::make_unique<GpuRunner>(model, std::move(*plan), *device_, false, chunk, steps);
    const test::RandomWeights weights(model.graph, 7);
    for (u32 id = 0; id < model.graph.weights.size(); ++id) {
      const graph::Weight& weight = model.graph.weights[id];
      runner_->sink().write(WeightId(id), 0, u64(weight.rows) * weight.cols / weight.format->block_weights,
                            weights.bytes[id].data(), all_planes);
    }
    CHECK(runner_->weights_done());
    turn([&] { return runner_->ready(); });
    EXPECT_EQ(runner_->planned(), runner_->allocated());
  }

  GpuRunner& runner() { return *runner_; }

  void start(const std::vector<u32>& tokens, u32 position, u32 count) {
    runner_->start({.tokens = {tokens.begin() + position, tokens.end()}, .position = position, .count = count});
  }
  // Until `done`; nothing that is not there is waited for.
  template <class Done>
  void turn(const Done& done) {
    for (u32 i = 0; i < 20000 && !done(); ++i) {
      const Status status = runner_->pump();
      ASSERT_TRUE(status) << status.error().message;
      for (Sampled sampled; runner_->next(sampled);) tokens_.push_back(sampled.token);
      if (!done()) gpu::wait(*device_, std::chrono::milliseconds(20));
    }
    ASSERT_TRUE(done());
  }
  std::vector<u32> finish() {
    tokens_.clear();
    turn([&] { return runner_->finished(); });
    return std::move(tokens_);
  }
  std::vector<u32> heard() { return std::move(tokens_); }  // so far, of a run that is not finished
  std::vector<u32> generate(const std::vector<u32>& tokens, u32 position, u32 count) {
    start(tokens, position, count);
    return finish();
  }

 private:
  std::unique_ptr<gpu::Device> device_;
  std::unique_ptr<GpuRunner> runner_;
  std::vector<u32> tokens_;
};

class GoingBack : public testing::Test {
 protected:
  void SetUp() override {
    const auto device = gpu::create_native_device();
    if (device) return;
    ASSERT_TRUE(device.error().message.starts_with("no WebGPU adapter")) << device.error().message;
    GTEST_SKIP() << device.error().message;
  }

  // steps: in flight at first.
  void begin(u32 layers, u32 steps = DecodePace::least) {
    model_ = Maker().make(layers);
    used_ = std::make_unique<Driver>(model_, steps);
    fresh_ = std::make_unique<Driver>(model_);
  }

  // The text keeps its first `position` tokens and goes on otherwise. From where the runner can go on.
  u32 expect_goes_on(std::vector<u32> tokens, u32 position, u32 seed) {
    const u32 from = used_->runner().resumable(position);
    tokens.resize(position);
    const std::vector<u32> more = some_tokens(3 + seed % 20, seed);
    tokens.insert(tokens.end(), more.begin(), more.end());
    EXPECT_LE(from, position);
    EXPECT_EQ(used_->generate(tokens, from, 5), fresh_->generate(tokens, 0, 5))
        << "from " << from << " of " << position;
    return from;
  }

  // Prompt and answer of a finished run, but for the last token, which was not fed.
  std::vector<u32> finished_run(u32 prompt, u32 count = 9) {
    std::vector<u32> tokens = some_tokens(prompt, prompt);
    const std::vector<u32> answer = used_->generate(tokens, 0, count);
    tokens.insert(tokens.end(), answer.begin(), answer.end());
    tokens.pop_back();
    EXPECT_EQ(used_->runner().cached_tokens(), tokens.size());
    return tokens;
  }

  // Part of a run, cancelled with steps in flight: the tokens known to be in the states.
  std::vector<u32> cancelled_run(u32 prompt) {
    std::vector<u32> tokens = some_tokens(prompt, prompt);
    used_->heard();
    used_->start(tokens, 0, 100);
    used_->turn([&] { return used_->runner().cached_tokens() >= prompt + 3; });
    EXPECT_GT(used_->runner().steps_in_flight(), 0u);
    used_->runner().cancel();
    const std::vector<u32> answer = used_->heard();
    tokens.insert(tokens.end(), answer.begin(), answer.end());
    EXPECT_GE(tokens.size(), used_->runner().cached_tokens());
    tokens.resize(used_->runner().cached_tokens());
    return tokens;
  }

  models::Model model_;
  std::unique_ptr<Driver> used_, fresh_;
};

TEST_F(GoingBack, AWindowGoesBackAsFarAsItsSlack) {
  begin(window | whole);
  u32 kept = 0;
  for (u32 back = 0; back < 130; back += 10) {
    const std::vector<u32> tokens = finished_run(180);
    const u32 position = u32(tokens.size()) - back;
    const u32 from = expect_goes_on(tokens, position, back);
    EXPECT_TRUE(from == position || from == 0);
    if (back <= graph::saved_slack) EXPECT_EQ(from, position);
    kept += from > 0;
  }
  EXPECT_LT(kept, 10u);
}

// Back again and again, no further than what the first run has left.
TEST_F(GoingBack, AWindowRemembersWhatEarlierRunsHaveTaken) {
  begin(window);
  const std::vector<u32> tokens = finished_run(100);
  for (u32 back = 2; back < 100; back += 11) expect_goes_on(tokens, u32(tokens.size()) - back, back);
}

TEST_F(GoingBack, StepsInFlightAfterACancelReachNothingThatIsKept) {
  for (const u32 layers : {u32(window), u32(recurrent), u32(window | recurrent)}) {
    for (const u32 prompt : {1u, 9u, 70u}) {
      // To the end of the prompt, where a recurrence goes on, a window cannot go back over so many steps.
      begin(layers, layers == (window | recurrent) ? DecodePace::least : DecodePace::most);
      for (const u32 back : {0u, 1u}) {
        const std::vector<u32> tokens = cancelled_run(prompt);
        const u32 position = u32(tokens.size()) - std::min(back, u32(tokens.size()));
        const u32 from = expect_goes_on(tokens, position, prompt + back);
        if (layers == window) EXPECT_EQ(from, position);
        if (!(layers & recurrent)) continue;
        // As a rule to the prompt's end; a slow machine may have made more than an interval of tokens by then.
        const u32 end = position >= prompt - 1 ? prompt - 1 : 0;
        EXPECT_LE(from, position);
        EXPECT_EQ((from - end) % graph::Checkpoints::interval, 0u);
        EXPECT_LE(position - from, graph::Checkpoints::interval);
      }
    }
  }
}

TEST_F(GoingBack, ARecurrenceGoesOnFromItsEndAndFromTheEndOfThePrompt) {
  begin(recurrent | whole);
  for (const u32 prompt : {1u, 2u, 17u, 60u}) {
    std::vector<u32> tokens = finished_run(prompt);
    EXPECT_EQ(expect_goes_on(tokens, u32(tokens.size()), 1), tokens.size());
    tokens = finished_run(prompt);
    EXPECT_EQ(expect_goes_on(tokens, u32(tokens.size()) - 1, 2), prompt - 1);
    tokens = finished_run(prompt);
    EXPECT_EQ(expect_goes_on(tokens, prompt - 1, 3), prompt - 1);
    tokens = finished_run(prompt);
    if (prompt > 2) EXPECT_EQ(expect_goes_on(tokens, prompt - 2, 4), 0u);
  }
}

// Copies follow the answer: at 72, 136 and 200 for a prompt that ends at 8; the last two of them are there.
TEST_F(GoingBack, ARecurrenceGoesBackByAnIntervalAtMost) {
  begin(recurrent | whole);
  for (const u32 back : {1u, 10u, 11u, 74u, 75u, 180u}) {
    const std::vector<u32> tokens = finished_run(9, 202);
    ASSERT_EQ(tokens.size(), 210u);
    const u32 position = u32(tokens.size()) - back;
    const u32 expected = position >= 200 ? 200 : position >= 136 ? 136 : 8;
    EXPECT_EQ(expect_goes_on(tokens, position, 20), expected);
  }
}

// Wherever it is cancelled, with steps in flight that may have made a copy of what does not count.
TEST_F(GoingBack, ACancelledAnswerGoesBackByAnIntervalAtMost) {
  begin(recurrent | whole);
  for (const u32 cached : {131u, 134u, 135u, 136u, 139u, 141u}) {
    if (cached == 139) begin(recurrent | whole, DecodePace::most);
    const std::vector<u32> prompt = some_tokens(9, cached);
    used_->heard();
    used_->start(prompt, 0, 240);
    used_->turn([&] { return used_->runner().cached_tokens() >= cached; });
    EXPECT_GT(used_->runner().steps_in_flight(), 0u);
    used_->runner().cancel();
    std::vector<u32> tokens = prompt;
    const std::vector<u32> answer = used_->heard();
    tokens.insert(tokens.end(), answer.begin(), answer.end());
    ASSERT_GE(tokens.size(), used_->runner().cached_tokens());
    const u32 position = used_->runner().cached_tokens();
    EXPECT_EQ(expect_goes_on(tokens, position, 20), position >= 136 ? 136u : 72u);
  }
}

// In a long prompt the copies follow its chunks.
TEST_F(GoingBack, ALongPromptGoesBackByAnIntervalAndAChunkAtMost) {
  begin(recurrent | whole);
  for (const u32 position : {199u, 198u, 150u, 128u}) {
    const std::vector<u32> prompt = some_tokens(200, 3);
    used_->generate(prompt, 0, 1);
    EXPECT_LT(position - expect_goes_on(prompt, position, 20), graph::Checkpoints::interval + chunk);
  }
}

// The end of the prompt of an earlier run is of another text.
TEST_F(GoingBack, AnOldCheckpointIsForgotten) {
  begin(recurrent);
  finished_run(40);
  const std::vector<u32> other = some_tokens(100, 8);
  used_->start(other, 0, 5);
  used_->turn([&] { return used_->runner().cached_tokens() >= 48; });
  used_->runner().cancel();  // in the prompt: all that has been submitted is known
  const u32 cached = used_->runner().cached_tokens();
  ASSERT_LT(cached, 99u);
  EXPECT_EQ(used_->runner().resumable(cached - 1), 0u);
  EXPECT_EQ(expect_goes_on(other, cached, 5), cached);
}

}  // namespace
}  // namespace pronk::engine
