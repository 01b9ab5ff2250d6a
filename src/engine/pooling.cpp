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

}  // namespace pronk::engine
