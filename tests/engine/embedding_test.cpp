// Engines that make hidden states or scores instead of logits.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/pooling.h"
#include "support/encoder_model.h"
#include "support/engine_driver.h"
#include "support/engine_model.h"
#include "support/files.h"
#include "text/tokenizer.h"

namespace pronk::test {
namespace {

using graph::Pooling;

std::string error_of(const Status& status) { return status ? "" : status.error().message; }

TEST(Embedding, AnEncoderOnlyScoresAndTakesAllTokensAtOnce) {
  auto engine = load({encoder_file({})}, {}, nullptr);
  ASSERT_TRUE(engine.has_value()) << engine.error().message;
  EXPECT_TRUE((*engine)->model().encoder());
  EXPECT_EQ((*engine)->model().pooling(), Pooling::mean);
  EXPECT_EQ((*engine)->plan().context, 40u);  // as many as it has positions for
  EXPECT_EQ((*engine)->row_width(), 32u);
  const std::vector<u32> tokens{1, 2, 3};
  Session& session = (*engine)->session();
  EXPECT_NE(error_of(session.start(tokens, {})).find("cannot generate"), std::string::npos);
  EXPECT_NE(error_of(session.score(tokens, true)).find("all tokens at once"), std::string::npos);
  const auto rows = score(**engine, tokens, false);
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  EXPECT_EQ(rows->size(), 3u * 32u);
}

TEST(Embedding, ADecoderLoadedForItHoldsNoOutputMatrix) {
  const ModelFiles files = model_files({.tied = false});
  auto whole = load(files, {.context = 64}, nullptr),
       embedder = load(files, {.context = 64, .embedding = true}, nullptr);
  ASSERT_TRUE(whole.has_value() && embedder.has_value());
  EXPECT_FALSE((*embedder)->model().encoder());
  EXPECT_EQ((*embedder)->row_width(), 64u);
  EXPECT_EQ((*whole)->allocated().weights - (*embedder)->allocated().weights, 300u * 64u * 4u);
  EXPECT_EQ((*embedder)->planned(), (*embedder)->allocated());
  const std::vector<u32> tokens{1, 2, 3};
  EXPECT_NE(error_of((*embedder)->session().start(tokens, {})).find("for embeddings"), std::string::npos);
  for (const bool by_steps : {false, true}) {
    const auto rows = score(**embedder, tokens, by_steps);
    ASSERT_TRUE(rows.has_value()) << rows.error().message;
    EXPECT_EQ(rows->size(), 3u * 64u);
  }
}

TEST(Embedding, DecodersThatRankAreRefusedButMakeText) {
  const auto model = make_model({.pooling = u32(Pooling::rank)});
  EXPECT_TRUE(model->plan({}, nullptr, nullptr).has_value());
  const auto plan = model->plan({.embedding = true}, nullptr, nullptr);
  ASSERT_FALSE(plan.has_value());
  EXPECT_EQ(plan.error().code, ErrorCode::unsupported);
}

TEST(Embedding, ContextsStopAtTheLastPosition) {
  auto model = open_model({encoder_file({.positions = 600})});
  ASSERT_TRUE(model.has_value());
  EXPECT_EQ((*model)->plan({}, nullptr, nullptr)->context, 512u);
  EXPECT_EQ((*model)->plan({.context = 600}, nullptr, nullptr)->context, 600u);
  const auto longer = (*model)->plan({.context = 601}, nullptr, nullptr);
  ASSERT_FALSE(longer.has_value());
  EXPECT_EQ(longer.error().code, ErrorCode::bad_argument);
  EXPECT_EQ((*model)->plan({.largest_context = true}, nullptr, nullptr)->context, 600u);
}

// ---- tests/golden/embeddings.json, which web/test compares with too. PRONK_UPDATE=1 writes it and its encoder anew.

using nlohmann::json;

const std::string golden = PRONK_SOURCE_DIR "/tests/golden/";

double cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) ab += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
  return ab / std::sqrt(aa * bb);
}

std::vector<u32> tokens_of(Engine& engine, const std::string& text) {
  const auto ids = engine.model().tokenizer().encode(text, {});
  EXPECT_TRUE(ids.has_value());
  return *ids;
}

// By the name of its pooling; "normalized" is the mean at length 1.
json embeddings_of(Engine& engine, const std::string& text, const std::vector<std::string>& poolings) {
  const std::vector<u32> tokens = tokens_of(engine, text);
  const auto rows = score(engine, tokens, false);
  EXPECT_TRUE(rows.has_value());
  json out{{"text", text}, {"tokens", tokens}};
  for (const std::string& name : poolings) {
    Pooling pooling = Pooling::mean;
    graph::each_enumerator(Pooling{}, [&](std::string_view each, Pooling value) {
      if (each == name) pooling = value;
    });
    for (float value : engine::embedding(*rows, engine.row_width(), pooling, name == "normalized"))
      out[name].push_back(std::round(double(value) * 1e6) / 1e6);
  }
  return out;
}

Result<std::unique_ptr<Engine>> load_for_embeddings(const std::string& path, std::unique_ptr<gpu::Device> device) {
  const auto file = read_file(path);
  if (!file) return fail("cannot read " + path);
  return load({*file}, {.activations = graph::Activations::f32, .embedding = true}, std::move(device));
}

void expect_golden(const std::string& model, const std::string& path, const std::vector<std::string>& texts,
                   const std::vector<std::string>& poolings) {
  auto engine = load_for_embeddings(path, nullptr);
  ASSERT_TRUE(engine.has_value()) << engine.error().message;
  const std::string file = golden + "embeddings_" + model + ".json";
  if (std::getenv("PRONK_UPDATE")) {
    json cases = json::array();
    for (const std::string& text : texts) cases.push_back(embeddings_of(**engine, text, poolings));
    std::ofstream(file) << cases.dump() << "\n";
  }
  const auto bytes = read_file(file);
  ASSERT_TRUE(bytes) << "PRONK_UPDATE=1 build/native/tests/test_engine --gtest_filter='Embedding.*' writes " << file;
  const json cases = json::parse(*bytes);
  ASSERT_EQ(cases.size(), texts.size());
  for (const json& wanted : cases) {
    const json found = embeddings_of(**engine, wanted["text"], poolings);
    EXPECT_EQ(found["tokens"], wanted["tokens"]);
    for (const std::string& pooling : poolings) {
      const auto a = found[pooling].get<std::vector<float>>(), b = wanted[pooling].get<std::vector<float>>();
      ASSERT_EQ(a.size(), b.size());
      EXPECT_GT(cosine(a, b), 0.99999) << pooling;
      for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-3) << pooling;
    }
  }
}

TEST(Embedding, AnEncoderGivesTheGoldenVectors) {
  const std::string path = golden + "encoder.gguf";
  if (std::getenv("PRONK_UPDATE")) {
    const std::vector<u8> file = encoder_file({.width = 16, .heads = 2, .feed_forward = 24});
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()), std::streamsize(file.size()));
  }
  expect_golden("encoder", path, {"a cat", "Where are my keys?"}, {"mean", "normalized", "cls", "last", "none"});
}

TEST(Embedding, TheModelInTheBoxGivesTheGoldenVectors) {
  const std::string path = PRONK_SOURCE_DIR "/models/pronk-box.gguf";
  if (!read_file(path)) GTEST_SKIP() << "no models/pronk-box.gguf";
  expect_golden("box", path, {"My cat is grey."}, {"normalized", "last"});
}

}  // namespace
}  // namespace pronk::test
