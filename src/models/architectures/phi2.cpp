// Phi-2 (Microsoft Research 2023): attention and feed-forward side by side on one layer norm, biases, part of a head
// rotated.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  const ValueId n = l.layer_norm(x, "attn_norm");  // [tokens, width]
  const ValueId a = self_attention(l, n, read_attention(l, RopePairs::halves));
  return l.graph.add(l.graph.add(x, a), feed_forward(l, n, read_feed_forward(l), graph::Function::gelu_tanh));
}

void build(Build& b) { build_layer_norm_decoder(b, layer); }

}  // namespace

extern const Architecture phi2_architecture{"phi2", build};

}  // namespace pronk::models
