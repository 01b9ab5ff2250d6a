// Rows of Session::score() into one vector.
#pragma once

#include <span>
#include <vector>

#include "base/types.h"
#include "graph/pooling.h"

namespace pronk::engine {

// rows: [tokens, width], at least one. In double precision. Pooling::none is no way to make one vector (CHECK).
std::vector<double> pool(std::span<const float> rows, u32 width, graph::Pooling pooling);

// To Euclidean length 1; zeros stay zeros.
void normalize(std::span<double> vector);

}  // namespace pronk::engine
