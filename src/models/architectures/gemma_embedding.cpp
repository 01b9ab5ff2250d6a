// EmbeddingGemma (arXiv 2509.20354): Gemma 3 in which each token sees those before and after it.
#include <algorithm>

#include "models/gemma.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) { return gemma3_layer(l, x, false); }

void build(Build& b) {
  ValueId hidden = b.rms_norm(all_layers(b, gemma_embed(b), layer), "output_norm");
  // Two linear maps follow the mean over tokens in the paper; before it they give the same.
  for (const std::string stem : {"dense_2", "dense_3"}) {
    const u64 rows = b.rows_of(stem + ".weight");
    if (rows > 0) hidden = b.linear(hidden, stem, u32(std::min<u64>(rows, graph::max_width)));
  }
  b.finish(hidden);
}

}  // namespace

extern const Architecture gemma_embedding_architecture{"gemma-embedding", build};

}  // namespace pronk::models
