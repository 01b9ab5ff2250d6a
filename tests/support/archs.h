// One small model for each architecture with its expected logits or embeddings: ../shared/vectors/archs, which not
// every machine has.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "support/files.h"

namespace pronk::test::archs {

using nlohmann::json;

inline const std::string folder = test::shared_path("vectors/archs/");
inline constexpr u32 default_context = 256;  // that the expected numbers were made with

inline const json& index() {
  static const json parsed = [] {
    const auto bytes = test::read_file(folder + "index.json");
    return bytes ? json::parse(*bytes) : json();
  }();
  return parsed;
}

inline std::vector<float> read_floats(const std::string& path) {
  const auto bytes = test::read_file(path);
  EXPECT_TRUE(bytes.has_value()) << path;
  std::vector<float> floats(bytes ? bytes->size() / sizeof(float) : 0);
  if (bytes) std::memcpy(floats.data(), bytes->data(), floats.size() * sizeof(float));
  return floats;
}

inline double relative_error(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    size += double(b[i]) * b[i];
  }
  return std::sqrt(difference / size);
}

// Rows of hidden states as one vector.
inline std::vector<float> pooled(graph::Pooling pooling, std::span<const float> rows, u32 width) {
  const std::size_t count = rows.size() / width;
  if (pooling == graph::Pooling::cls) return {rows.begin(), rows.begin() + width};
  if (pooling == graph::Pooling::last) return {rows.end() - width, rows.end()};
  EXPECT_EQ(pooling, graph::Pooling::mean);
  std::vector<double> sums(width);
  for (std::size_t i = 0; i < rows.size(); ++i) sums[i % width] += rows[i];
  for (double& sum : sums) sum /= double(count);
  return {sums.begin(), sums.end()};
}

// ---- Parameters of a test: numbers of models

inline std::vector<std::size_t> numbers_of_models() {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; index().is_object() && i < index()["models"].size(); ++i) numbers.push_back(i);
  return numbers;
}
inline std::string name_of(const testing::TestParamInfo<std::size_t>& info) {
  std::string name = index()["models"][info.param]["name"];
  std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(u8(c)); }, '_');
  return name;
}

}  // namespace pronk::test::archs
