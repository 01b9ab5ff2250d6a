// The CPU back end against the expected logits and embeddings of one small model for each architecture, which lie in
// ../shared/vectors/archs, and which not every machine has.
#include "support/archs.h"
#include "cpu/executor.h"
#include "support/graph_gguf.h"

namespace pronk::cpu {
namespace {

using graph::KvType;
using namespace test::archs;

// Rows of the output for all tokens, which come in parts of these sizes; the last is repeated.
std::vector<float> rows_of(const graph::Graph& graph, const test::LoadedModel& model, std::span<const u32> tokens,
                           u32 context, u32 chunk, const std::vector<u32>& parts,
                           graph::Activations activations = graph::Activations::f32, u32 threads = 1) {
  Executor<float> executor(graph, model.weights(), context, KvType::f32, chunk, chunk, activations, best_kernels(),
                           threads);
  EXPECT_EQ(executor.allocated(), Executor<float>::footprint(graph, context, KvType::f32, chunk, chunk, activations,
                                                             best_kernels(), threads));
  std::vector<float> rows;
  for (u32 position = 0, part = 0; position < tokens.size(); ++part) {
    const u32 count = std::min(parts[std::min<std::size_t>(part, parts.size() - 1)], u32(tokens.size()) - position);
    const auto some = executor.run(tokens.subspan(position, count), position, true);
    rows.insert(rows.end(), some.begin(), some.end());
    position += count;
  }
  return rows;
}

bool has_windows(const graph::Graph& graph) {
  return std::any_of(graph.states.begin(), graph.states.end(), [](const graph::State& state) {
    const auto* kv = std::get_if<graph::KvState>(&state);
    return kv && kv->window > 0;
  });
}

class Archs : public testing::TestWithParam<std::size_t> {};

TEST(ArchsIndex, IsThere) {
  if (!index().is_object()) GTEST_SKIP() << "no " << folder << "index.json on this machine";
  EXPECT_EQ(index()["models"].size(), 68u);
}

TEST_P(Archs, AreAsExpected) {
  const json& entry = index()["models"][GetParam()];
  const auto model = test::load_model(folder + std::string(entry["file"]));
  ASSERT_TRUE(model.has_value()) << model.error().message;
  const bool embeds = entry.contains("embedding");
  const graph::Graph graph = embeds ? graph::without_logits(model->model.graph) : model->model.graph;
  for (const json& sequence : entry["sequences"]) {
    SCOPED_TRACE(std::string(sequence["tag"]));
    const std::vector<u32> tokens = sequence["tokens"];
    const auto expected = read_floats(folder + std::string(sequence["file"]));
    const double tolerance = sequence["tolerance"]["f32"];
    const u32 context = sequence.value("n_ctx", default_context), count = u32(tokens.size());
    const auto check = [&](const char* how, u32 chunk, const std::vector<u32>& parts) {
      std::vector<float> got = rows_of(graph, *model, tokens, context, chunk, parts);
      if (embeds) got = pooled(graph.pooling, got, graph[graph.output].width);
      const double error = relative_error(got, expected);
      EXPECT_LE(error, tolerance) << how;
      printf("%s.%s, %s: %.1e\n", std::string(entry["name"]).c_str(), std::string(sequence["tag"]).c_str(), how, error);
    };
    check("at once", count, {count});
    if (!graph.causal() || (!graph.recurrent() && !has_windows(graph))) continue;
    // Rings of windows are shorter with shorter chunks.
    check("in chunks of 5", 5, {count});
    check("a third, then the rest", 16, {count / 3, count});
    check("one, then the rest", 16, {1, count});
    check("one by one", 1, {1});
  }
}

// To the last bit.
TEST_P(Archs, DoNotDependOnTheNumberOfThreads) {
  const json& entry = index()["models"][GetParam()];
  const auto model = test::load_model(folder + std::string(entry["file"]));
  ASSERT_TRUE(model.has_value()) << model.error().message;
  const graph::Graph& graph = model->model.graph;
  const json& sequence = entry["sequences"].back();
  const std::vector<u32> tokens = sequence["tokens"];
  const u32 context = sequence.value("n_ctx", default_context), count = u32(tokens.size());
  std::vector<u32> parts{count};
  if (graph.causal()) parts = {count - count / 4, 1};
  for (const auto activations : {graph::Activations::f32, graph::Activations::q8}) {
    const auto of = [&](u32 threads) {
      return rows_of(graph, *model, tokens, context, count, parts, activations, threads);
    };
    const std::vector<float> one = of(1);
    for (const u32 threads : {2u, 3u, 5u}) {
      EXPECT_EQ(std::memcmp(of(threads).data(), one.data(), one.size() * sizeof(float)), 0) << threads << " threads";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Archs, testing::ValuesIn(numbers_of_models()), name_of);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Archs);

}  // namespace
}  // namespace pronk::cpu
