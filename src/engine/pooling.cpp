#include "engine/pooling.h"

#include <cmath>

#include "base/check.h"

namespace pronk::engine {

std::vector<double> pool(std::span<const float> rows, u32 width, graph::Pooling pooling) {
  CHECK(width > 0 && rows.size() >= width && rows.size() % width == 0 && pooling != graph::Pooling::none);
  const u64 tokens = rows.size() / width;
  if (pooling != graph::Pooling::mean) {
    const auto row = rows.subspan(pooling == graph::Pooling::last ? rows.size() - width : 0, width);
    return {row.begin(), row.end()};
  }
  std::vector<double> result(width);
  for (u64 i = 0; i < rows.size(); ++i) result[i % width] += rows[i];
  for (double& value : result) value /= double(tokens);
  return result;
}

void normalize(std::span<double> vector) {
  double squares = 0;
  for (double value : vector) squares += value * value;
  if (!(squares > 0)) return;
  for (double& value : vector) value /= std::sqrt(squares);
}

Result<graph::Pooling> choose_pooling(std::optional<graph::Pooling> asked, graph::Pooling trained) {
  using graph::Pooling;
  if (!asked) return trained == Pooling::none ? Pooling::mean : trained;
  if (trained == Pooling::rank && *asked != Pooling::rank) {
    return fail(ErrorCode::bad_argument, "the model is a reranker: its scores are not pooled");
  }
  return *asked;
}

std::vector<float> embedding(std::span<const float> rows, u32 width, graph::Pooling pooling, bool normalized) {
  const bool each = pooling == graph::Pooling::none;
  std::vector<float> out;
  for (u64 at = 0, step = each ? width : rows.size(); at < rows.size(); at += step) {
    std::vector<double> vector = pool(rows.subspan(at, step), width, each ? graph::Pooling::cls : pooling);
    if (normalized) normalize(vector);
    out.insert(out.end(), vector.begin(), vector.end());
  }
  return out;
}

}  // namespace pronk::engine
