// What quantized KV caches cost: KL divergence, in nats a token, from the logits with a cache of f16. The limits are
// the project's. ../shared has models and tokens that not every machine has; the model in the box is always there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cpu/executor.h"
#include "support/graph_gguf.h"

namespace pronk::cpu {
namespace {

using graph::KvType;
using graph::KvTypes;
using nlohmann::json;

constexpr double most_q8 = 1e-3, most_q4 = 3e-2;

json read_json(const std::string& path) {
  const auto bytes = test::read_file(path);
  return bytes ? json::parse(*bytes, nullptr, false) : json();
}

// [tokens][vocabulary]
std::vector<double> log_probabilities(const test::LoadedModel& model, std::span<const u32> tokens, KvTypes kv) {
  Executor<float> executor(model.model.graph, model.weights(), u32(tokens.size()), kv);
  const auto logits = executor.run(tokens, 0, true);
  std::vector<double> result(logits.begin(), logits.end());
  const std::size_t vocabulary = result.size() / tokens.size();
  for (std::size_t first = 0; first < result.size(); first += vocabulary) {
    const std::span<double> row(&result[first], vocabulary);
    const double largest = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const double logit : row) sum += std::exp(logit - largest);
    for (double& logit : row) logit -= largest + std::log(sum);
  }
  return result;
}

double divergence(std::span<const double> p, std::span<const double> q, std::size_t tokens) {
  EXPECT_EQ(p.size(), q.size());
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += std::exp(p[i]) * (p[i] - q[i]);
  return sum / double(tokens);
}

struct Worst {
  double q8 = 0, q4 = 0;
};

void expect_close(const test::LoadedModel& model, std::span<const u32> tokens, Worst& worst) {
  const auto f16 = log_probabilities(model, tokens, KvType::f16);
  const auto of = [&](KvTypes kv) { return divergence(f16, log_probabilities(model, tokens, kv), tokens.size()); };
  const double q8 = of(KvType::q8), q4 = of(KvType::q4);
  EXPECT_GT(q8, 0);  // the caches do differ
  EXPECT_LE(q8, most_q8);
  EXPECT_LE(q4, most_q4);
  for (const KvTypes kv :
       {KvTypes(KvType::q8, KvType::q4), KvTypes(KvType::q4, KvType::q8), KvTypes(KvType::f16, KvType::q4)}) {
    EXPECT_LE(of(kv), most_q4);
  }
  EXPECT_LE(of({KvType::q8, KvType::f16}), most_q8);
  EXPECT_LE(of({KvType::f16, KvType::q8}), most_q8);
  worst = {std::max(worst.q8, q8), std::max(worst.q4, q4)};
}

void report(const std::string& name, const Worst& worst) {
  printf("%s: KL to f16 a token, worst text: q8_0 %.1e, q4_0 %.1e\n", name.c_str(), worst.q8, worst.q4);
}

TEST(KvQuality, ModelInTheBox) {
  const auto model = test::load_model(PRONK_SOURCE_DIR "/models/pronk-box.gguf");
  ASSERT_TRUE(model.has_value()) << model.error().message;
  const json golden = read_json(PRONK_SOURCE_DIR "/tests/golden/box.json");
  ASSERT_TRUE(golden.is_object());
  Worst worst;
  for (const json& chat : golden["cases"]) {
    std::vector<u32> tokens = chat["prompt_tokens"];
    for (const u32 token : chat["tokens"]) tokens.push_back(token);
    expect_close(*model, tokens, worst);
  }
  report("pronk-box", worst);
}

TEST(KvQuality, SharedModels) {
  const std::string folder = test::shared_path("vectors/logits/");
  const json index = read_json(folder + "index.json");
  if (!index.is_object()) GTEST_SKIP() << "no " << folder << "index.json on this machine";
  for (const json& entry : index["models"]) {
    const auto model = test::load_model(folder + std::string(entry["file"]));
    ASSERT_TRUE(model.has_value()) << model.error().message;
    Worst worst;
    for (const json& sequence : entry["sequences"]) {
      SCOPED_TRACE(std::string(entry["name"]) + "." + std::string(sequence["tag"]));
      std::vector<u32> tokens = sequence["tokens"];
      expect_close(*model, tokens, worst);
      if (!sequence.contains("greedy")) continue;
      for (const u32 token : sequence["greedy"]["tokens"]) tokens.push_back(token);
      expect_close(*model, tokens, worst);
    }
    report(entry["name"], worst);
  }
}

// ---- Rows

graph::KvState state_of(u32 dim) { return {.heads = 1, .key_width = dim, .value_width = dim}; }

// What a row is after it was stored, as key (transformed) and as value.
struct Stored {
  std::vector<double> key, value, transformed;  // transformed: the row as keys are, unrounded
};
Stored stored(const std::vector<double>& row, KvType type) {
  const u32 dim = u32(row.size());
  KvCache<double> cache(state_of(dim), 3, type);
  const Rows<const double> rows{row.data(), 1, dim, dim};
  std::vector<double> scratch(dim);
  cache.store(1, rows, rows, scratch.data());
  Stored result{std::vector<double>(dim), std::vector<double>(dim), row};
  cache.transform_as_keys(result.transformed.data());
  const auto copy = [&](const double* from, std::vector<double>& to) { std::copy_n(from, dim, to.data()); };
  copy(cache.keys(0, 1, 1, scratch.data()), result.key);
  copy(cache.values(0, 1, 1, nullptr, scratch.data()), result.value);
  return result;
}

TEST(KvRowsTest, ErrorIsAStepOfTheBlock) {
  for (const u32 dim : {4u, 8u, 12u, 20u, 32u, 40u, 64u, 80u, 128u, 256u}) {
    for (const KvType type : {KvType::q8, KvType::q4}) {
      std::vector<double> row(dim);
      for (u32 i = 0; i < dim; ++i) row[i] = std::sin(1.7 * (i + dim)) * (i % 5 ? 1 : 3);
      const Stored s = stored(row, type);
      const bool bytes = type == KvType::q8 || dim < 32;
      const u32 block = dim < 64 ? (dim + 7) / 8 * 4 : 32;
      const auto expect_near = [&](const std::vector<double>& exact, const std::vector<double>& got) {
        for (u32 i = 0; i < dim; ++i) {
          double largest = 0;
          for (u32 j = i / block * block; j < std::min(dim, i / block * block + block); ++j)
            largest = std::max(largest, std::abs(exact[j]));
          EXPECT_NEAR(got[i], exact[i], bytes ? largest / 127 * 0.57 : largest / 8 * 1.01) << dim << " column " << i;
        }
      };
      expect_near(row, s.value);
      expect_near(s.transformed, s.key);
    }
  }
}

// Mixing keeps products, and shares out a number that would take all of a block's range.
TEST(KvRowsTest, MixingSparesTheOthers) {
  std::vector<double> k(64), q(64);
  for (u32 i = 0; i < 64; ++i) k[i] = std::sin(2.3 * i), q[i] = std::cos(0.7 * i * i);
  k[5] = 40;
  const Stored key = stored(k, KvType::q4), query = stored(q, KvType::q4);
  EXPECT_NEAR(dot(query.transformed.data(), key.transformed.data(), 64), dot(q.data(), k.data(), 64), 1e-12);
  const auto others = [&](u32 i) { return i / 32 * 32 == 0 && i != 5; };
  double plain = 0, transformed = 0;
  for (u32 i = 0; i < 64; ++i) {
    if (others(i)) plain += std::pow(key.value[i] - k[i], 2) / 31;
    transformed += std::pow(key.key[i] - key.transformed[i], 2) / 64;
  }
  EXPECT_LT(transformed, plain / 2);
}

TEST(KvRowsTest, ZerosAndTinyNumbersStayZero) {
  for (const KvType type : {KvType::q8, KvType::q4}) {
    for (const double number : {0.0, 1e-300, -1e-40, 1e-12}) {
      const Stored s = stored(std::vector<double>(64, number), type);
      for (u32 i = 0; i < 64; ++i) {
        EXPECT_EQ(s.key[i], 0);
        EXPECT_EQ(s.value[i], 0);
      }
    }
  }
}

}  // namespace
}  // namespace pronk::cpu
