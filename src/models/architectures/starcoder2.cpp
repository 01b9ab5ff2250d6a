// StarCoder 2 (arXiv 2402.19173): layer norms and biases everywhere, no gates.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  return layer_norm_layer(l, x, read_attention(l, RopePairs::halves), graph::Function::gelu_tanh);
}

void build(Build& b) { build_layer_norm_decoder(b, layer); }

}  // namespace

extern const Architecture starcoder2_architecture{"starcoder2", build};

}  // namespace pronk::models
