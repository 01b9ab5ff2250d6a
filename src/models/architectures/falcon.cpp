// Falcon (arXiv 2311.16867): attention and feed-forward side by side. The 7B has one norm; from the 40B on attention
// has its own, attn_norm_2.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  const ValueId n = l.layer_norm(x, "attn_norm");  // [tokens, width]
  const ValueId n2 = l.has("attn_norm_2.weight") ? l.layer_norm(x, "attn_norm_2") : n;
  const ValueId a = self_attention(l, n2, read_attention(l, RopePairs::halves));
  return l.graph.add(l.graph.add(x, a), feed_forward(l, n, read_feed_forward(l), graph::Function::gelu));
}

void build(Build& b) { build_layer_norm_decoder(b, layer); }

}  // namespace

extern const Architecture falcon_architecture{"falcon", build};

}  // namespace pronk::models
