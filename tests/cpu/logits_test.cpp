// The CPU back end against the exact logits of ../shared/vectors/logits, which not every machine has.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "cpu/executor.h"
#include "cpu/sampler.h"
#include "support/graph_gguf.h"

namespace pronk::cpu {
namespace {

using graph::KvType;
using nlohmann::json;

const std::string folder = test::shared_path("vectors/logits/");

// Null where the vectors are absent.
json read_index() {
  const auto bytes = test::read_file(folder + "index.json");
  return bytes ? json::parse(*bytes) : json();
}

std::vector<float> read_floats(const std::string& path) {
  const auto bytes = test::read_file(path);
  EXPECT_TRUE(bytes.has_value()) << path;
  std::vector<float> floats(bytes ? bytes->size() / sizeof(float) : 0);
  if (bytes) std::memcpy(floats.data(), bytes->data(), floats.size() * sizeof(float));
  return floats;
}

template <class A>
double relative_error(const A& a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(a.size(), b.size()); ++i) {
    difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    size += double(b[i]) * b[i];
  }
  return std::sqrt(difference / size);
}

class Logits : public testing::Test {
 protected:
  void SetUp() override {
    if (index().is_null()) GTEST_SKIP() << "no " << folder << "index.json on this machine";
  }
  static const json& index() {
    static const json parsed = read_index();
    return parsed;
  }
  // Calls check(model, sequence) for each sequence of each model whose weight types pronk runs.
  template <class Check>
  void each_sequence(const Check& check) {
    std::set<std::string> types;
    for (const json& entry : index()["models"]) {
      const std::string name = entry["name"], type = entry["type"];
      if (!formats::find(type)) continue;  // formats of later issues
      auto model = test::load_model(folder + std::string(entry["file"]));
      ASSERT_TRUE(model.has_value()) << name << ": " << model.error().message;
      types.insert(type);
      for (const json& sequence : entry["sequences"]) {
        SCOPED_TRACE(name + "." + std::string(sequence["tag"]));
        check(*model, sequence);
      }
    }
    for (const char* type : {"F32", "F16", "Q8_0", "Q4_0", "Q4_K", "Q6_K"}) EXPECT_TRUE(types.contains(type)) << type;
  }
  template <class Real>
  void expect_near(KvType kv, double tolerance) {
    double worst = 0;
    each_sequence([&](const test::LoadedModel& model, const json& sequence) {
      const std::vector<u32> tokens = sequence["tokens"];
      const auto exact = read_floats(folder + std::string(sequence["exact_file"]));
      Executor<Real> executor(model.model.graph, model.weights(), u32(tokens.size()), kv);
      const double error = relative_error(executor.run(tokens, 0, true), exact);
      EXPECT_LE(error, tolerance);
      worst = std::max(worst, error);
    });
    RecordProperty("largest_relative_error", std::to_string(worst * 1e9) + "e-9");
    printf("largest relative error %.2e\n", worst);
  }
};

TEST_F(Logits, DoubleIsExact) { expect_near<double>(KvType::f32, 1e-6); }
TEST_F(Logits, Float) { expect_near<float>(KvType::f32, 1e-4); }
TEST_F(Logits, FloatWithF16Cache) { expect_near<float>(KvType::f16, 1e-3); }

// KL(exact ‖ ours) of one position, in nats.
double kl_divergence(std::span<const float> exact, std::span<const float> ours) {
  const auto log_sum = [](std::span<const float> logits) {
    const double largest = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (float logit : logits) sum += std::exp(logit - largest);
    return largest + std::log(sum);
  };
  const double a = log_sum(exact), b = log_sum(ours);
  double divergence = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    divergence += std::exp(exact[i] - a) * ((exact[i] - a) - (ours[i] - b));
  }
  return divergence;
}

// The README of the vectors has these tolerances: 8-bit activations with 32 to a scale. Every instruction set, all
// tokens at once and one by one.
TEST_F(Logits, QuantizedActivations) {
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    double worst_kl = 0, worst_difference = 0;
    each_sequence([&](const test::LoadedModel& model, const json& sequence) {
      const std::vector<u32> tokens = sequence["tokens"];
      const auto exact = read_floats(folder + std::string(sequence["exact_file"]));
      for (const bool one_by_one : {false, true}) {
        Executor<float> executor(model.model.graph, model.weights(), u32(tokens.size()), KvType::f16, default_chunk, 1,
                                 graph::Activations::q8, *kernels);
        std::vector<float> logits;
        for (u32 t = 0; t < tokens.size(); t += one_by_one ? 1 : u32(tokens.size())) {
          const auto some = one_by_one ? std::span(tokens).subspan(t, 1) : std::span(tokens);
          const auto rows = executor.run(some, t, true);
          logits.insert(logits.end(), rows.begin(), rows.end());
        }
        ASSERT_EQ(logits.size(), exact.size());
        const u64 vocabulary = exact.size() / tokens.size();
        double divergence = 0;
        for (u64 t = 0; t < tokens.size(); ++t) {
          divergence += kl_divergence({&exact[t * vocabulary], vocabulary}, {&logits[t * vocabulary], vocabulary});
        }
        divergence /= double(tokens.size());
        EXPECT_LE(divergence, 1e-3);
        worst_kl = std::max(worst_kl, divergence);
        for (u64 i = 0; i < exact.size(); ++i) {
          worst_difference = std::max(worst_difference, std::fabs(double(exact[i]) - logits[i]));
        }
      }
    });
    EXPECT_LE(worst_difference, 0.3);
    printf("%s: largest KL of a sequence %.1e, largest difference %.3f\n", std::string(kernels->name).c_str(), worst_kl,
           worst_difference);
  }
}

// Each prompt, then 64 greedy tokens one by one; the prompts' reference continuations.
void expect_greedy(const test::LoadedModel& model, const json& index, KvType kv) {
  u32 prompts = 0;
  for (const json& sequence : index["models"][0]["sequences"]) {
    if (!sequence.contains("greedy")) continue;
    const std::vector<u32> prompt = sequence["tokens"], expected = sequence["greedy"]["tokens"];
    ASSERT_EQ(expected.size(), 64u);
    Executor<float> executor(model.model.graph, model.weights(), u32(prompt.size() + 64), kv);
    std::vector<u32> tokens;
    auto logits = executor.run(prompt, 0, false);
    while (true) {
      tokens.push_back(sample(logits, {}, u32(tokens.size())).value());
      if (tokens.size() == 64) break;
      logits = executor.run(std::span(tokens).last(1), u32(prompt.size() + tokens.size() - 1), false);
    }
    EXPECT_EQ(tokens, expected) << std::string(sequence["tag"]);
    ++prompts;
  }
  EXPECT_EQ(prompts, 3u);
}

TEST_F(Logits, GreedyStory) {
  ASSERT_EQ(index()["models"][0]["name"], "stories260K");
  const auto model = test::load_model(test::shared_path("models/stories260K.gguf"));
  ASSERT_TRUE(model.has_value()) << model.error().message;
  expect_greedy(*model, index(), KvType::f32);
  expect_greedy(*model, index(), KvType::f16);
}

}  // namespace
}  // namespace pronk::cpu
