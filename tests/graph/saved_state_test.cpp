// Which saved states are taken: the heads of saved sessions come from anywhere.
#include "graph/saved_state.h"

#include <gtest/gtest.h>

namespace pronk::graph {
namespace {

constexpr u32 context = 100, slack = 8;

// A whole cache, a window of 10, a recurrence.
Graph three_states() {
  Graph graph;
  const KvState whole{.heads = 1, .key_width = 4, .value_width = 4};
  KvState window = whole;
  window.window = 10;
  graph.states = {whole, window, RecurrentState{.floats = 6}};
  return graph;
}

std::string refusal(u32 position, std::vector<u32> first, u32 copy_at = 0) {
  SavedStates saved{.position = position, .checkpoints = {}, .first = std::move(first)};
  saved.checkpoints.set(0, copy_at);
  const Status status = check_saved(three_states(), saved, context, slack);
  return status ? "" : status.error().message;
}

TEST(SavedStates, AreTakenWhenAWindowHasWhatItSees) {
  for (const u32 first : {32u, 40u, 41u}) EXPECT_EQ(refusal(50, {0, first, 0}, 50), "") << first;
  EXPECT_EQ(refusal(100, {0, 90, 0}), "");
  EXPECT_EQ(refusal(0, {0, 0, 0}), "");
}

TEST(SavedStates, ThatAModelCannotHaveAreRefused) {
  EXPECT_EQ(refusal(101, {0, 91, 0}), "the saved session has 101 tokens, more than the context length 100");
  const std::string other = "the saved session is not one of this model";
  EXPECT_EQ(refusal(50, {0, 40}), other);
  EXPECT_EQ(refusal(50, {0, 40, 0, 0}), other);
  EXPECT_EQ(refusal(50, {1, 40, 0}), other) << "a cache without its first row";
  EXPECT_EQ(refusal(50, {0, 42, 0}), other) << "a window without what its next token sees";
  EXPECT_EQ(refusal(50, {0, 31, 0}), other) << "more rows than the ring has";
  EXPECT_EQ(refusal(50, {0, 51, 0}), other) << "rows that are not computed";
  EXPECT_EQ(refusal(50, {0, ~0u, 0}), other);
  EXPECT_EQ(refusal(50, {0, 40, 1}), other) << "a recurrence has no rows";
  EXPECT_EQ(refusal(50, {0, 40, 0}, 51), other) << "a copy of what comes later";
}

}  // namespace
}  // namespace pronk::graph
