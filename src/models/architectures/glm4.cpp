// GLM-4-0414 (arXiv 2406.12793): norms around attention and feed-forward, half of a head rotated, gate and up in one
// tensor.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) { return sandwich_norm_layer(l, x, read_attention(l, RopePairs::adjacent)); }

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture glm4_architecture{"glm4", build};

}  // namespace pronk::models
