// Folders of models as Hugging Face's libraries write them, from their files to logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine.h"
#include "support/archs.h"
#include "support/bad_sources.h"
#include "support/folder_model.h"

namespace pronk {
namespace {

using nlohmann::json;
using test::ModelSpec;

Result<std::vector<float>> logits_of(Result<test::SharedModel> model, const test::ModelFiles& weights,
                                     std::span<const u32> tokens, std::unique_ptr<gpu::Device> device) {
  if (!model) return std::unexpected(model.error());
  LoadOptions options{
      .context = 64, .kv = graph::KvType::f32, .activations = graph::Activations::f32, .threads = 1, .scoring = true};
  PRONK_TRY(auto engine, Engine::create(*model, options, std::move(device)));
  PRONK_OK(test::feed(*engine, weights));
  PRONK_OK(test::wait_ready(*engine));
  return test::score(*engine, tokens, false);
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::abs(double(a[i]) - b[i]));
  return largest;
}

class Folders : public testing::TestWithParam<ModelSpec> {};

// What Llama's GGUF files have in another order and Gemma's with 1 added makes no difference.
TEST_P(Folders, GiveTheLogitsOfTheSameModelInAGgufFile) {
  ModelSpec spec = GetParam();
  const std::vector<u32> tokens = test::some_tokens(20, 5, spec.vocab);
  for (const bool tied : {true, false}) {
    spec.tied = tied;
    const test::ModelFiles gguf = test::model_files(spec);
    const auto expected = logits_of(test::open_model(gguf), gguf, tokens, nullptr);
    ASSERT_TRUE(expected.has_value()) << expected.error().message;
    for (const u32 shards : {1u, 3u}) {
      const test::Folder folder = test::folder_of(spec, shards);
      const auto got = logits_of(test::open_folder(folder), folder.weights, tokens, nullptr);
      ASSERT_TRUE(got.has_value()) << got.error().message;
      EXPECT_LT(largest_difference(*got, *expected), 2e-5);
    }
  }
}

TEST_P(Folders, GiveTheSameLogitsOnTheGpu) {
  auto device = gpu::create_native_device();
  if (!device) GTEST_SKIP() << device.error().message;
  const std::vector<u32> tokens = test::some_tokens(20, 5, GetParam().vocab);
  const test::Folder folder = test::folder_of(GetParam(), 2);
  const auto expected = logits_of(test::open_folder(folder), folder.weights, tokens, nullptr);
  const auto got = logits_of(test::open_folder(folder), folder.weights, tokens, std::move(*device));
  ASSERT_TRUE(expected.has_value() && got.has_value());
  EXPECT_LT(largest_difference(*got, *expected), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Sources, Folders,
                         testing::Values(ModelSpec{.bias = true}, ModelSpec{.arch = "qwen2"},
                                         ModelSpec{.arch = "qwen3"},
                                         ModelSpec{.arch = "gemma3", .layers = 7, .window = 6}),
                         [](const auto& info) { return info.param.arch; });

// ---- ../shared/vectors/sources, which not every machine has

struct Deviation {
  double largest = 0, kl = 0;  // of logits; mean of all rows
};

Deviation deviation(std::span<const float> got, std::span<const float> exact, u64 vocab) {
  Deviation result{.largest = largest_difference(got, exact)};
  const auto log_sum = [&](std::span<const float> row) {
    double sum = 0;
    const double most = *std::ranges::max_element(row);
    for (const float logit : row) sum += std::exp(logit - most);
    return most + std::log(sum);
  };
  for (u64 at = 0; at < exact.size(); at += vocab) {
    const auto a = got.subspan(at, vocab), b = exact.subspan(at, vocab);
    const double sum_a = log_sum(a), sum_b = log_sum(b);
    for (u64 i = 0; i < vocab; ++i) result.kl += std::exp(b[i] - sum_b) * ((b[i] - sum_b) - (a[i] - sum_a));
  }
  result.kl /= double(exact.size() / vocab);
  return result;
}

Result<std::vector<float>> logits_of_folder(const std::string& path, std::span<const u32> tokens) {
  cli::EngineChoice choice{.location = path, .backend = "cpu"};
  choice.options = {.context = u32(tokens.size()),
                    .kv = graph::KvType::f32,
                    .activations = graph::Activations::f32,
                    .threads = 1,
                    .scoring = true};
  PRONK_TRY(const auto engine, cli::open_engine(choice));
  return test::score(*engine, tokens, false);
}

TEST(SourceVectors, PlainModelsGiveExactLogits) {
  const std::string folder = test::shared_path("vectors/sources/safetensors/");
  const auto text = test::read_file(folder + "index.json");
  if (!text) GTEST_SKIP() << "no " << folder << "index.json on this machine";
  const json index = json::parse(*text);
  EXPECT_EQ(index["models"].size(), 11u);
  for (const json& entry : index["models"]) {
    for (const json& sequence : entry["sequences"]) {
      SCOPED_TRACE(std::string(entry["name"]) + "." + std::string(sequence["tag"]));
      const std::vector<u32> tokens = sequence["tokens"];
      const auto got = logits_of_folder(folder + std::string(entry["dir"]), tokens);
      ASSERT_TRUE(got.has_value()) << got.error().message;
      const auto exact = test::archs::read_floats(folder + std::string(sequence["exact_file"]));
      const Deviation d = deviation(*got, exact, sequence["vocab"]);
      EXPECT_LT(d.largest, 1e-3);
      EXPECT_LT(d.kl, 1e-8);
    }
  }
}

TEST(SourceVectors, BadFoldersAreRefused) {
  const auto sources = test::bad_sources("folders/");
  if (sources.empty()) GTEST_SKIP() << "../shared/vectors/sources/bad is not on this machine";
  for (const auto& source : sources) {
    const auto open = cli::open_headers(source.path, {});
    test::expect_verdict(source, open ? "" : open.error().message);
    if (!open) EXPECT_NE(open.error().message.find(source.path), std::string::npos) << open.error().message;
  }
  EXPECT_EQ(sources.size(), 37u);
}

}  // namespace
}  // namespace pronk
