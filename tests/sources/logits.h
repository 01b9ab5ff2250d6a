// Logits of models by their paths, and how far apart they are.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "engine.h"
#include "support/engine_driver.h"

namespace pronk::test {

inline double largest_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::abs(double(a[i]) - b[i]));
  return largest;
}

// Of a file or a folder, by floats alone.
inline Result<std::vector<float>> logits_of_path(const std::string& path, std::string backend,
                                                 std::span<const u32> tokens, bool by_steps) {
  cli::EngineChoice choice{.location = path, .backend = std::move(backend)};
  choice.options = {.context = u32(tokens.size()),
                    .kv = graph::KvType::f32,
                    .activations = graph::Activations::f32,
                    .threads = 1,
                    .scoring = true};
  PRONK_TRY(const auto engine, cli::open_engine(choice));
  return score(*engine, tokens, by_steps);
}

}  // namespace pronk::test
