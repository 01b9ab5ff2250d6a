// Nemotron-4 and Minitron (arXiv 2402.16819): layer norms, squared ReLU without a gate, part of a head rotated.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  return layer_norm_layer(l, x, read_attention(l, RopePairs::halves), graph::Function::relu_squared);
}

void build(Build& b) { build_layer_norm_decoder(b, layer); }

}  // namespace

extern const Architecture nemotron_architecture{"nemotron", build};

}  // namespace pronk::models
