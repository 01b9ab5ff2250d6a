// A runner whose model carries states that cannot go back to any position, a recurrence and a window: wherever a run is
// cancelled, the next goes on from where the states allow, and gives the text that a fresh runner gives.
#include <gtest/gtest.h>

#include "engine/cpu_runner.h"
#include "files/gguf.h"
#include "files/gguf_writer.h"
#include "support/gguf.h"
#include "support/graph_llama.h"

namespace pronk::engine {
namespace {

constexpr u32 width = 256, vocab = 500, context = 400, window = 24;

class Maker {
 public:
  graph::Graph build() {
    graph::ValueId x = g_.embed(matrix(vocab, width));
    x = mix(x, recurrence(norm(x)));
    x = mix(x, attention(norm(x)));
    const auto hidden = norm(x);
    return g_.finish(hidden, g_.matmul(hidden, matrix(vocab, width)));
  }

 private:
  graph::WeightId matrix(u32 rows, u32 cols) {
    return g_.weight("matrix" + std::to_string(++weights_), formats::find("F16"), rows, cols);
  }
  graph::ValueId linear(graph::ValueId x, u32 rows) { return g_.matmul(x, matrix(rows, g_.width(x))); }
  graph::ValueId norm(graph::ValueId x) { return g_.norm({.x = x, .group = g_.width(x), .eps = 1e-5f}); }
  graph::ValueId recurrence(graph::ValueId x) {
    const auto mixed = g_.conv1d(linear(x, 96), matrix(96, 4));
    return g_.delta_rule({.q = g_.columns(mixed, 0, 32),
                          .k = g_.columns(mixed, 32, 32),
                          .v = g_.columns(mixed, 64, 32),
                          .decay = g_.scale(g_.map(graph::Function::sigmoid, linear(x, 2)), -0.1),
                          .beta = g_.scale(g_.map(graph::Function::sigmoid, linear(x, 2)), 0.1),
                          .key_heads = 2,
                          .value_heads = 2});
  }
  graph::ValueId attention(graph::ValueId x) {
    const auto state = g_.state(graph::KvState{.heads = 2, .key_width = 16, .value_width = 16, .window = window});
    const auto q = linear(x, 64);
    g_.store_kv(state, linear(x, 32), linear(x, 32));
    return g_.attention({.state = state, .q = q, .heads = 4, .scale = 0.25f, .window = window});
  }
  graph::ValueId mix(graph::ValueId x, graph::ValueId y) {
    x = g_.add(x, linear(y, width));
    const auto n = norm(x);
    const auto hidden = g_.map(graph::Function::silu_gate, linear(n, 4096), linear(n, 4096));
    return g_.add(x, linear(hidden, width));
  }

  graph::Builder g_;
  u32 weights_ = 0;
};

struct Loaded {
  models::Model model;
  std::vector<u8> file;
  std::unique_ptr<WeightMemory> memory;
  std::unique_ptr<CpuRunner> runner;

  Loaded() {
    model.hyper = {.layers = 2, .width = width, .vocab = vocab, .context_length = context};
    model.graph = Maker().build();
    const test::RandomWeights weights(model.graph, 5);
    files::GgufWriter writer;
    for (const graph::Weight& weight : model.graph.weights) {
      const u64 shape[] = {weight.cols, weight.rows};
      writer.add_tensor(weight.name, weight.format->ggml_type, shape);
    }
    file = test::write_gguf(writer, [&](u64 i) { return weights.bytes[i]; });
    memory = std::make_unique<WeightMemory>(*files::parse_gguf(file, file.size())->gguf, model.graph);
    runner = std::make_unique<CpuRunner>(model, *memory, context, graph::KvType::f32, false);
    EXPECT_TRUE(memory->map(0, file));
    EXPECT_TRUE(runner->weights_done());
  }

  // As a session does: from the largest position up to `common` that the states allow; returns it.
  u32 start(const std::vector<u32>& text, u32 common) {
    const u32 from = runner->resumable(std::min({common, runner->cached_tokens(), u32(text.size()) - 1}));
    runner->start({.tokens = {text.begin() + from, text.end()},
                   .position = from,
                   .count = 12,
                   .sampling = {.temperature = 1, .seed = 9}});
    return from;
  }
  // Up to `count` tokens of the answer.
  std::vector<u32> take(u32 count = 12) {
    std::vector<u32> tokens;
    while (tokens.size() < count && !runner->finished()) {
      EXPECT_TRUE(runner->pump());
      for (Sampled sampled; tokens.size() < count && runner->next(sampled);) tokens.push_back(sampled.token);
    }
    return tokens;
  }
};

std::vector<u32> text_of(u32 length, u32 seed) {
  std::mt19937 random(seed);
  std::vector<u32> text;
  for (u32 i = 0; i < length; ++i) text.push_back(random() % vocab);
  return text;
}
std::vector<u32> joined(std::vector<u32> a, const std::vector<u32>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
std::vector<u32> fresh_answer(const std::vector<u32>& text) {
  Loaded fresh;
  EXPECT_EQ(fresh.start(text, 0), 0u);
  return fresh.take();
}

TEST(CpuStates, AConversationGoesOnWhereItStands) {
  Loaded loaded;
  const std::vector<u32> prompt = text_of(50, 1);
  loaded.start(prompt, 0);
  std::vector<u32> text = joined(prompt, loaded.take());
  const u32 said = u32(text.size());
  text = joined(text, text_of(20, 2));
  // The last token of the answer was sampled and not fed.
  EXPECT_EQ(loaded.start(text, said), said - 1);
  EXPECT_EQ(loaded.take(), fresh_answer(text));
}

TEST(CpuStates, CancelledInMidAnswerItGoesOnFromThePrompt) {
  Loaded loaded;
  const std::vector<u32> prompt = text_of(50, 1);
  loaded.start(prompt, 0);
  const std::vector<u32> whole = fresh_answer(prompt);
  ASSERT_EQ(loaded.take(5), std::vector<u32>(whole.begin(), whole.begin() + 5));
  loaded.runner->cancel();
  // The answer is dropped but for two tokens: from the end of the prompt, where the states were kept.
  const std::vector<u32> text = joined(joined(prompt, {whole[0], whole[1]}), text_of(9, 3));
  EXPECT_EQ(loaded.start(text, 52), 49u);
  EXPECT_EQ(loaded.take(), fresh_answer(text));
  // The first prompt again, and again: its checkpoint is another one now.
  EXPECT_EQ(loaded.start(prompt, 50), 0u);
  EXPECT_EQ(loaded.take(), whole);
  EXPECT_EQ(loaded.start(prompt, 50), 49u);
  EXPECT_EQ(loaded.take(), whole);
}

TEST(CpuStates, CancelledInMidChunkItGoesOnFromTheLastPrompt) {
  Loaded loaded;
  const std::vector<u32> prompt = text_of(50, 1);
  loaded.start(prompt, 0);
  std::vector<u32> text = joined(prompt, loaded.take());
  const u32 said = u32(text.size());
  const std::vector<u32> next = joined(text, text_of(60, 4));
  EXPECT_EQ(loaded.start(next, said), said - 1);
  const u64 before = loaded.runner->work().multiply_adds;
  ASSERT_TRUE(loaded.runner->pump());
  ASSERT_GT(loaded.runner->work().multiply_adds, before);
  ASSERT_EQ(loaded.runner->cached_tokens(), said - 1);  // in the middle of a chunk
  loaded.runner->cancel();
  const std::vector<u32> other = joined(text, text_of(30, 5));
  EXPECT_EQ(loaded.start(other, said), 49u);
  EXPECT_EQ(loaded.take(), fresh_answer(other));
}

// Further back than the window's ring reaches, though the recurrence had its checkpoint there.
TEST(CpuStates, AWindowThatIsGoneMeansFromTheStart) {
  Loaded loaded;
  const std::vector<u32> prompt = text_of(50, 1);
  loaded.start(prompt, 0);
  std::vector<u32> text = joined(prompt, loaded.take());
  const u32 said = u32(text.size());
  const std::vector<u32> next = joined(text, text_of(300, 6));
  loaded.start(next, said);
  while (loaded.runner->cached_tokens() < 340) ASSERT_TRUE(loaded.runner->pump());
  loaded.runner->cancel();
  EXPECT_EQ(loaded.start(prompt, 50), 0u);
  EXPECT_EQ(loaded.take(), fresh_answer(prompt));
}

}  // namespace
}  // namespace pronk::engine
