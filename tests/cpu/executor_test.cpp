// Executor against an independent, naive forward pass on small random models, and its promises about chunks, positions
// and memory.
#include "cpu/executor.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "support/graph_llama.h"

namespace pronk::cpu {
namespace {

using graph::Graph;
using graph::KvType;
using test::LlamaShape;
using Row = std::vector<double>;

// Straight from the papers: all positions at once, no cache, no graph; weights are looked up by name.
class Naive {
 public:
  Naive(const LlamaShape& shape, const Graph& graph, const test::RandomWeights& weights) : s_(shape), g_(graph) {
    for (u32 i = 0; i < graph.weights.size(); ++i) {
      const graph::Weight& weight = graph.weights[i];
      std::vector<float> values(u64(weight.rows) * weight.cols);
      weight.format->decode(weights.bytes[i].data(), values.size() / weight.format->block_weights, values.data());
      weights_[weight.name] = Row(values.begin(), values.end());
    }
  }

  // Logits after each token.
  std::vector<Row> run(const std::vector<u32>& tokens) const {
    const Row& table = weights_.at("token_embd.weight");
    std::vector<Row> x;
    for (u32 token : tokens) x.emplace_back(&table[token * s_.width], &table[token * s_.width] + s_.width);
    for (u32 il = 0; il < s_.layers; ++il) {
      attend(il, x);
      feed_forward(il, x);
    }
    std::vector<Row> logits;
    for (const Row& row : x) {
      logits.push_back(multiply(s_.tied ? "token_embd.weight" : "output.weight", norm(row, "output_norm.weight")));
    }
    return logits;
  }

 private:
  Row norm(const Row& x, const std::string& name) const {
    double squares = 0;
    for (double value : x) squares += value * value;
    Row out = x;
    for (u32 i = 0; i < x.size(); ++i) {
      out[i] = x[i] / std::sqrt(squares / double(x.size()) + double(s_.eps)) * weights_.at(name)[i];
    }
    return out;
  }

  Row multiply(const std::string& name, const Row& x) const {
    const Row& w = weights_.at(name);
    Row out(w.size() / x.size());
    for (u32 n = 0; n < out.size(); ++n) {
      for (u32 k = 0; k < x.size(); ++k) out[n] += w[n * x.size() + k] * x[k];
    }
    const std::string bias = name.substr(0, name.rfind('.')) + ".bias";
    if (weights_.contains(bias)) {
      for (u32 n = 0; n < out.size(); ++n) out[n] += weights_.at(bias)[n];
    }
    return out;
  }

  // One head of q or k: normed where the model does that, then rotated.
  Row head(const Row& projected, u32 index, u32 position, const std::string& norm_name) const {
    const test::Heads& h = s_.heads;
    Row row(&projected[index * h.dim], &projected[index * h.dim] + h.dim);
    if (s_.head_norm) row = norm(row, norm_name);
    for (u32 i = 0; i < h.rotated / 2; ++i) {
      const double divisor = s_.factors ? weights_.at("rope_freqs.weight")[i] : 1;
      const double angle = position * std::pow(10000.0, -2.0 * i / h.rotated) / divisor;
      const u32 a = h.pairs == graph::RopePairs::adjacent ? 2 * i : i;
      const u32 b = h.pairs == graph::RopePairs::adjacent ? 2 * i + 1 : i + h.rotated / 2;
      const double m = g_.ropes[0].magnitude, xa = row[a], xb = row[b];
      row[a] = m * (xa * std::cos(angle) - xb * std::sin(angle));
      row[b] = m * (xa * std::sin(angle) + xb * std::cos(angle));
    }
    return row;
  }

  void attend(u32 il, std::vector<Row>& x) const {
    const std::string blk = "blk." + std::to_string(il) + ".";
    const test::Heads& h = s_.heads;
    std::vector<Row> q, k, v;
    for (const Row& row : x) {
      const Row n = norm(row, blk + "attn_norm.weight");
      q.push_back(multiply(blk + "attn_q.weight", n));
      k.push_back(multiply(blk + "attn_k.weight", n));
      v.push_back(multiply(blk + "attn_v.weight", n));
    }
    for (u32 t = 0; t < x.size(); ++t) {
      Row out;
      for (u32 index = 0; index < h.query; ++index) {
        const u32 kv = index / (h.query / h.kv);
        const Row query = head(q[t], index, t, blk + "attn_q_norm.weight");
        Row weight(t + 1), mixed(h.dim);
        double sum = 0;
        for (u32 p = 0; p <= t; ++p) {
          const Row key = head(k[p], kv, p, blk + "attn_k_norm.weight");
          for (u32 i = 0; i < h.dim; ++i) weight[p] += query[i] * key[i] * double(h.scale);
          weight[p] = std::exp(weight[p]);
          sum += weight[p];
        }
        for (u32 p = 0; p <= t; ++p) {
          for (u32 i = 0; i < h.dim; ++i) mixed[i] += weight[p] / sum * v[p][kv * h.dim + i];
        }
        out.insert(out.end(), mixed.begin(), mixed.end());
      }
      const Row projected = multiply(blk + "attn_output.weight", out);
      for (u32 i = 0; i < s_.width; ++i) x[t][i] += projected[i];
    }
  }

  void feed_forward(u32 il, std::vector<Row>& x) const {
    const std::string blk = "blk." + std::to_string(il) + ".";
    for (Row& row : x) {
      const Row n = norm(row, blk + "ffn_norm.weight");
      Row hidden = multiply(blk + "ffn_gate.weight", n);
      const Row up = multiply(blk + "ffn_up.weight", n);
      for (u32 i = 0; i < hidden.size(); ++i) hidden[i] = hidden[i] / (1 + std::exp(-hidden[i])) * up[i];
      const Row down = multiply(blk + "ffn_down.weight", hidden);
      for (u32 i = 0; i < row.size(); ++i) row[i] += down[i];
    }
  }

  const LlamaShape& s_;
  const Graph& g_;
  std::map<std::string, Row> weights_;
};

struct Fixture {
  LlamaShape shape;
  Graph graph;
  test::RandomWeights weights;
  std::vector<u32> tokens;

  explicit Fixture(LlamaShape s, u32 count = 12, u32 seed = 1)
      : shape(s), graph(test::llama_graph(s)), weights(graph, seed) {
    std::mt19937 random(seed + 1000);
    for (u32 i = 0; i < count; ++i) tokens.push_back(random() % shape.vocab);
  }
  template <class Real>
  Executor<Real> executor(u32 context, KvType kv = KvType::f32, u32 chunk = default_chunk, u32 threads = 1,
                          graph::Activations activations = graph::Activations::f32) const {
    return Executor<Real>(graph, weights.pointers(), context, kv, chunk, 1, activations, best_kernels(), threads);
  }
  Row naive() const {
    Row flat;
    for (const Row& row : Naive(shape, graph, weights).run(tokens)) flat.insert(flat.end(), row.begin(), row.end());
    return flat;
  }
};

template <class A, class B>
double relative_error(const A& a, const B& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference += (double(a[i]) - double(b[i])) * (double(a[i]) - double(b[i]));
    size += double(b[i]) * double(b[i]);
  }
  return std::sqrt(difference / size);
}

struct Case {
  const char* name;
  LlamaShape shape;
};

// The name of each case says what it adds to the plain shape.
std::vector<Case> cases() {
  using enum graph::RopePairs;
  std::vector<Case> result;
  const auto add = [&](const char* name, auto change) {
    LlamaShape shape;
    change(shape);
    result.push_back({name, shape});
  };
  add("Plain", [](LlamaShape&) {});
  add("Halves", [](LlamaShape& s) { s.heads.pairs = halves; });
  add("PartialRotationAdjacent", [](LlamaShape& s) { s.heads.rotated = 6; });
  add("PartialRotationHalves", [](LlamaShape& s) { s.heads.rotated = 4, s.heads.pairs = halves; });
  add("BiasUntied", [](LlamaShape& s) { s.bias = true, s.tied = false; });
  add("HeadNormFactors", [](LlamaShape& s) { s.head_norm = true, s.factors = true; });
  add("OddWidths",
      [](LlamaShape& s) { s.width = 37, s.feed_forward = 61, s.vocab = 51, s.heads = {3, 1, 10, 10, halves, 0.3f}; });
  add("OneWideHead", [](LlamaShape& s) { s.heads = {1, 1, 256, 256, halves, 0.0625f}; });
  add("NoGroups", [](LlamaShape& s) { s.heads = {5, 5, 12, 12, adjacent, 0.25f}; });
  add("RowsLongerThanAPiece", [](LlamaShape& s) { s.width = 1030, s.feed_forward = 2051, s.layers = 1; });
  add("F16", [](LlamaShape& s) { s.matrix = s.vector = "F16"; });
  add("BF16", [](LlamaShape& s) { s.matrix = s.vector = "BF16", s.bias = true; });
  add("Q8_0", [](LlamaShape& s) { s.matrix = "Q8_0", s.width = 96; });
  add("Q4_0", [](LlamaShape& s) { s.matrix = "Q4_0", s.v = "Q8_0", s.feed_forward = 160; });
  return result;
}

class ExecutorCase : public testing::TestWithParam<Case> {};

TEST_P(ExecutorCase, DoubleIsExact) {
  const Fixture f(GetParam().shape);
  EXPECT_LE(relative_error(f.executor<double>(16).run(f.tokens, 0, true), f.naive()), 1e-13);
}

TEST_P(ExecutorCase, FloatIsNear) {
  const Fixture f(GetParam().shape);
  const Row exact = f.naive();
  EXPECT_LE(relative_error(f.executor<float>(16).run(f.tokens, 0, true), exact), 2e-6);
  EXPECT_LE(relative_error(f.executor<float>(16, KvType::f16).run(f.tokens, 0, true), exact), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ExecutorCase, testing::ValuesIn(cases()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Executor, F16CacheRounds) {
  const Fixture f({});
  const Row exact = f.naive();
  EXPECT_GT(relative_error(f.executor<double>(16, KvType::f16).run(f.tokens, 0, true), exact), 1e-6);
}

// More than two chunks and more than two blocks of the KV cache.
TEST(Executor, ChunksAndStepsMakeNoDifference) {
  LlamaShape shape;
  shape.head_norm = true;
  const Fixture f(shape, 75);
  const Row exact = f.naive();
  const u32 vocab = shape.vocab;
  for (u32 chunk : {1u, 2u, 7u, 32u, 33u, 75u}) {
    auto executor = f.executor<double>(75, KvType::f32, chunk);
    EXPECT_LE(relative_error(executor.run(f.tokens, 0, true), exact), 1e-13) << "chunk " << chunk;
    const auto last = executor.run(f.tokens, 0, false);
    EXPECT_LE(relative_error(last, std::span(exact).last(vocab)), 1e-13) << "chunk " << chunk;
  }
  auto executor = f.executor<double>(75);
  const std::span<const u32> tokens(f.tokens);
  executor.run(tokens.first(40), 0, false);
  for (u32 t = 40; t < 75; ++t) {
    const auto logits = executor.run(tokens.subspan(t, 1), t, false);
    ASSERT_EQ(logits.size(), vocab);
    EXPECT_LE(relative_error(logits, std::span(exact).subspan(t * vocab, vocab)), 1e-13) << "token " << t;
  }
}

TEST(Executor, LogitsAreComputedOnlyWhereAskedFor) {
  const Fixture f({}, 75);
  auto executor = f.executor<float>(75, KvType::f32, 32);
  const auto rows_of = [&](std::span<const u32> tokens, u32 position, Logits wanted) {
    const u64 before = executor.work().logit_rows;
    executor.begin(tokens, position, wanted);
    while (!executor.advance(1000)) {
    }
    const u64 rows = executor.work().logit_rows - before;
    EXPECT_EQ(executor.logits().size(), rows * f.shape.vocab);
    return rows;
  };
  const std::span<const u32> tokens(f.tokens);
  EXPECT_EQ(rows_of(tokens, 0, Logits::all), 75u);
  const std::vector<float> all(executor.logits().begin(), executor.logits().end());
  EXPECT_EQ(rows_of(tokens, 0, Logits::last), 1u);
  EXPECT_EQ(rows_of(tokens.first(74), 0, Logits::none), 0u);
  const u64 without = executor.work().multiply_adds;
  EXPECT_EQ(rows_of(tokens.subspan(74), 74, Logits::last), 1u);
  EXPECT_LE(relative_error(executor.logits(), std::span(all).last(f.shape.vocab)), 1e-6);

  // Nor is anything else computed after the last layer's keys and values: with one layer hardly more than those.
  LlamaShape one;
  one.layers = 1, one.feed_forward = 4000;
  const Fixture g(one, 32);
  auto single = g.executor<float>(32);
  single.begin(g.tokens, 0, Logits::none);
  ASSERT_TRUE(single.advance(~u64{0}));
  EXPECT_LT(single.work().multiply_adds, 32u * 32 * 100);
  EXPECT_GT(without, 0u);
}

// Whatever it is cut into, a run is the same to the last bit, and no slice is much larger than was asked for.
TEST(Executor, AdvancesByBoundedSlices) {
  LlamaShape shape;
  shape.width = 128, shape.feed_forward = 300, shape.vocab = 500;
  const Fixture f(shape, 75);
  auto whole = f.executor<float>(80, KvType::f16, 32);
  const auto at_once = whole.run(f.tokens, 0, true);
  const u64 all = whole.work().multiply_adds;
  const test::Heads& heads = shape.heads;
  const u64 smallest = std::max({u64(1) << 17, u64(best_kernels().float_panel_rows) * 32 * shape.feed_forward,
                                 u64(32) * shape.feed_forward, 2 * u64(80) * 32 * heads.query * heads.dim / heads.kv});
  for (const u64 of_a_thread : {u64(1), u64(10'000), u64(200'000), u64(3'000'000)}) {
    for (const u32 threads : {1u, 3u}) {
      const u64 budget = of_a_thread * threads;
      auto executor = f.executor<float>(80, KvType::f16, 32, threads);
      executor.begin(f.tokens, 0, Logits::all);
      for (u64 slices = 1, before = 0;; ++slices) {
        const bool done = executor.advance(of_a_thread);
        const u64 made = executor.work().multiply_adds - before;
        EXPECT_LT(made, budget + smallest);
        before += made;
        if (done) break;
        EXPECT_GE(made, budget);
        ASSERT_LE(slices, all / budget + 1);
      }
      EXPECT_EQ(executor.work().multiply_adds, all);
      EXPECT_EQ(executor.work().logit_rows, 75u);
      EXPECT_TRUE(std::ranges::equal(executor.logits(), at_once)) << budget;
    }
  }
}

// Large enough for every kind of job: parts of matrices, rows, tiles and splits of attention.
TEST(Executor, TheNumberOfThreadsMakesNoDifference) {
  LlamaShape shape;
  shape.matrix = "Q4_0", shape.width = 256, shape.feed_forward = 768, shape.vocab = 1000;
  shape.heads = {.query = 8, .kv = 2, .dim = 32, .rotated = 32, .scale = 0.2f};
  const Fixture f(shape, 700);
  const std::span<const u32> tokens(f.tokens);
  for (const auto activations : {graph::Activations::f32, graph::Activations::q8}) {
    std::vector<float> one;
    for (const u32 threads : {1u, 2u, 3u, 5u}) {
      auto executor = f.executor<float>(700, KvType::f16, 128, threads, activations);
      std::vector<float> rows;
      const auto run = [&](u32 first, u32 count) {
        const auto some = executor.run(tokens.subspan(first, count), first, true);
        rows.insert(rows.end(), some.begin(), some.end());
      };
      run(0, 690);
      for (u32 t = 690; t < 700; ++t) run(t, 1);
      if (threads == 1) one = rows;
      EXPECT_TRUE(rows == one) << threads << " threads";
    }
  }
}

// q, k and v read the same activations, and gate and up. In the last layer only keys and values concern all tokens.
TEST(Workspace, ProductsOfOneActivationRunTogether) {
  LlamaShape shape;
  shape.v = "Q8_0";
  const Graph graph = test::llama_graph(shape);
  const Workspace workspace = plan_workspace(graph, 8, 1, true, best_kernels(), sizeof(float));
  std::vector<u32> joined;
  for (std::size_t i = 0; i < graph.ops.size(); i += workspace.together[i]) {
    if (std::holds_alternative<graph::MatMul>(graph.ops[i])) joined.push_back(workspace.together[i]);
  }
  EXPECT_EQ(joined, (std::vector<u32>{3, 1, 2, 1, 3, 1, 2, 1, 1}));
}

// Nor do they overlap what they are made of; also where nothing reads one.
TEST(Workspace, ResultsThatAreMadeTogetherDoNotOverlap) {
  graph::Builder g;
  const auto table = g.weight("token_embd.weight", formats::find("F32"), 32, 32);
  const auto x = g.embed(table), unread = g.matmul(x, table), read = g.matmul(x, table);
  const Graph graph = g.finish(read, g.matmul(read, table));
  const Workspace workspace = plan_workspace(graph, 8, 8, true, best_kernels(), sizeof(float));
  EXPECT_EQ(workspace.together, (std::vector<u32>{1, 2, 1, 1}));
  const auto apart = [&](graph::ValueId one, graph::ValueId other) {
    const graph::Range a = workspace.arena.ranges[u32(one)], b = workspace.arena.ranges[u32(other)];
    return a.offset + a.size <= b.offset || b.offset + b.size <= a.offset;
  };
  EXPECT_TRUE(apart(unread, read));
  EXPECT_TRUE(apart(x, read));
  EXPECT_TRUE(apart(x, unread));
}

u32 threads_of_this_process() {
  u32 count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

TEST(Executor, LeavesNoThread) {
  const Fixture f({});
  const u32 before = threads_of_this_process();
  {
    auto executor = f.executor<float>(16, KvType::f32, 8, 4);
    EXPECT_EQ(threads_of_this_process(), before + 3);
    executor.begin(f.tokens, 0, Logits::last);
    ASSERT_FALSE(executor.advance(1));  // and is closed in mid run
  }
  EXPECT_EQ(threads_of_this_process(), before);
}

TEST(Executor, ARunThatIsDroppedLeavesWhatWasBefore) {
  const Fixture f({}, 40);
  const std::span<const u32> tokens(f.tokens);
  auto straight = f.executor<float>(64), dropped = f.executor<float>(64);
  const auto expected = straight.run(tokens, 0, false);
  dropped.run(tokens.first(20), 0, false);
  const std::vector<u32> other(30, 7);
  for (const u64 multiply_adds : {1u, 3000u, 60'000u, 200'000u}) {
    dropped.begin(other, 20, Logits::last);
    ASSERT_FALSE(dropped.advance(multiply_adds));
  }
  dropped.run(tokens.subspan(20), 20, false);
  EXPECT_LE(relative_error(dropped.logits(), expected), 1e-6);
}

TEST(Executor, RollingBackIsSettingThePosition) {
  const Fixture f({});
  auto executor = f.executor<float>(32);
  const auto first = executor.run(f.tokens, 0, false);
  const std::vector<float> expected(first.begin(), first.end());
  const std::vector<u32> other{1, 2, 3, 4, 5, 6, 7};
  executor.run(other, 4, true);
  const auto again = executor.run(std::span(f.tokens).subspan(4), 4, false);
  EXPECT_LE(relative_error(again, expected), 1e-6);
}

TEST(Executor, FootprintIsWhatIsAllocated) {
  for (const Case& c : cases()) {
    const Fixture f(c.shape);
    for (KvType kv : {KvType::f32, KvType::f16}) {
      EXPECT_EQ(Executor<float>::footprint(f.graph, 33, kv, 5), f.executor<float>(33, kv, 5).allocated()) << c.name;
      EXPECT_EQ(Executor<double>::footprint(f.graph, 33, kv), f.executor<double>(33, kv).allocated()) << c.name;
    }
    const test::Heads& h = c.shape.heads;
    EXPECT_EQ(Executor<float>::footprint(f.graph, 33, KvType::f16).kv_cache,
              u64(c.shape.layers) * 2 * 33 * h.kv * h.dim * 2);
    auto executor = f.executor<float>(33);
    const Footprint before = executor.allocated();
    executor.run(f.tokens, 0, false);
    EXPECT_EQ(executor.allocated(), before) << c.name;
  }
}

TEST(ExecutorDeathTest, ChecksItsContract) {
  const Fixture f({});
  auto executor = f.executor<float>(8);
  const std::vector<u32> unknown{f.shape.vocab};
  EXPECT_DEATH(executor.run(f.tokens, 0, false), "context_length_");
  EXPECT_DEATH(executor.run({}, 0, false), "empty");
  EXPECT_DEATH(executor.run(unknown, 0, false), "table.rows");
}

TEST(Lanes, DotOfAnyLength) {
  std::vector<double> a, b;
  double expected = 0;
  for (u32 n = 0; n < 40; ++n) {
    EXPECT_DOUBLE_EQ(dot(a.data(), b.data(), n), expected) << n;
    a.push_back(n * 3.0 - 20), b.push_back(n % 7 - 2.0);
    expected += a.back() * b.back();
  }
}

}  // namespace
}  // namespace pronk::cpu
