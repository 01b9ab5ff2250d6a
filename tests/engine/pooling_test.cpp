#include "engine/pooling.h"

#include <gtest/gtest.h>

namespace pronk::engine {
namespace {

using graph::Pooling;
using Vector = std::vector<double>;

TEST(Pooling, OfRows) {
  const std::vector<float> rows{1, 2, 3, 6, 8, -9};
  EXPECT_EQ(pool(rows, 2, Pooling::mean), (Vector{4, -1.0 / 3}));
  EXPECT_EQ(pool(rows, 2, Pooling::cls), (Vector{1, 2}));
  EXPECT_EQ(pool(rows, 2, Pooling::rank), (Vector{1, 2}));
  EXPECT_EQ(pool(rows, 2, Pooling::last), (Vector{8, -9}));
  EXPECT_EQ(pool(rows, 6, Pooling::mean), (Vector{1, 2, 3, 6, 8, -9}));
}

TEST(Pooling, SumsInDouble) {
  std::vector<float> rows(1 << 12, 1.0f);
  rows[0] = 0x1p30f;  // a sum of floats would lose all others
  EXPECT_EQ(pool(rows, 1, Pooling::mean)[0], (0x1p30 + 4095) / 4096);
}

TEST(Pooling, Normalizes) {
  Vector vector{3, 0, -4};
  normalize(vector);
  EXPECT_DOUBLE_EQ(vector[0], 0.6);
  EXPECT_DOUBLE_EQ(vector[2], -0.8);
  Vector zeros{0, 0};
  normalize(zeros);
  EXPECT_EQ(zeros, (Vector{0, 0}));
}

TEST(Pooling, IsAsAskedOrAsTrained) {
  EXPECT_EQ(*choose_pooling(std::nullopt, Pooling::none), Pooling::mean);
  EXPECT_EQ(*choose_pooling(std::nullopt, Pooling::last), Pooling::last);
  EXPECT_EQ(*choose_pooling(std::nullopt, Pooling::rank), Pooling::rank);
  EXPECT_EQ(*choose_pooling(Pooling::cls, Pooling::last), Pooling::cls);
  const auto pooled_scores = choose_pooling(Pooling::mean, Pooling::rank);
  ASSERT_FALSE(pooled_scores.has_value());
  EXPECT_EQ(pooled_scores.error().code, ErrorCode::bad_argument);
}

TEST(Pooling, OfNoneKeepsEachRow) {
  const std::vector<float> rows{3, 4, 0, -2};
  EXPECT_EQ(embedding(rows, 2, Pooling::none, false), rows);
  EXPECT_EQ(embedding(rows, 2, Pooling::none, true), (std::vector<float>{0.6f, 0.8f, 0, -1}));
  EXPECT_EQ(embedding(rows, 2, Pooling::mean, false), (std::vector<float>{1.5f, 1}));
}

}  // namespace
}  // namespace pronk::engine
