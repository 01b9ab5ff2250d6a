#include "models/cohere.h"

namespace pronk::models {

ValueId cohere_layer(Layer& l, ValueId x, SelfAttention attention) {
  attention.norm = graph::Norm::Kind::layer;
  const ValueId n = l.layer_norm(x, "attn_norm");  // [tokens, width]
  x = l.graph.add(x, self_attention(l, n, attention));
  return l.graph.add(x, gated_feed_forward(l, n, read_feed_forward(l)));
}

void build_cohere(Build& b, LayerFunction layer) {
  const ValueId hidden = b.layer_norm(all_layers(b, b.embed(), layer), "output_norm");
  b.finish(hidden, b.graph.scale(b.logits(hidden), b.number_or("logit_scale", 1)));
}

}  // namespace pronk::models
