// OLMo (arXiv 2402.00838): layer norms without weights; q, k and v may be clamped.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId bare_layer_norm(Build& b, ValueId x) {
  return b.graph.norm(
      {.kind = graph::Norm::Kind::layer, .x = x, .group = b.graph.width(x), .eps = float(b.layer_eps())});
}

ValueId layer(Layer& l, ValueId x) {
  SelfAttention attention = read_attention(l, RopePairs::adjacent);
  attention.clamp = l.build.number_or("attention.clamp_kqv", 0);
  x = l.graph.add(x, self_attention(l, bare_layer_norm(l.build, x), attention));
  return l.graph.add(x, gated_feed_forward(l, bare_layer_norm(l.build, x), read_feed_forward(l)));
}

void build(Build& b) {
  const ValueId hidden = bare_layer_norm(b, all_layers(b, b.embed(), layer));
  b.finish(hidden, b.logits(hidden));
}

}  // namespace

extern const Architecture olmo_architecture{"olmo", build};

}  // namespace pronk::models
