// Rows of Session::score() into one vector.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "graph/pooling.h"

namespace pronk::engine {

// rows: [tokens, width], at least one. In double precision. Pooling::none is no way to make one vector (CHECK).
std::vector<double> pool(std::span<const float> rows, u32 width, graph::Pooling pooling);

// To Euclidean length 1; zeros stay zeros.
void normalize(std::span<double> vector);

// What the file says (`trained`), or the mean, where nothing is asked for. A reranker's scores cannot be pooled
// otherwise.
Result<graph::Pooling> choose_pooling(std::optional<graph::Pooling> asked, graph::Pooling trained);

// The embedding of rows as above: one vector, or with Pooling::none one for each row.
std::vector<float> embedding(std::span<const float> rows, u32 width, graph::Pooling pooling, bool normalized);

}  // namespace pronk::engine
