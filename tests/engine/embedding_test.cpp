// Engines that make hidden states or scores instead of logits.
#include <gtest/gtest.h>

#include "support/encoder_model.h"
#include "support/engine_driver.h"
#include "support/engine_model.h"

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

}  // namespace
}  // namespace pronk::test
