// Gemma (arXiv 2403.08295).
#include "models/gemma.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  x = l.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), read_attention(l, RopePairs::halves)));
  return l.graph.add(
      x, gated_feed_forward(l, l.rms_norm(x, "ffn_norm"), read_feed_forward(l), graph::Function::gelu_tanh_gate));
}

void build(Build& b) {
  const ValueId hidden = b.rms_norm(all_layers(b, gemma_embed(b), layer), "output_norm");
  b.finish(hidden, b.logits(hidden));
}

}  // namespace

extern const Architecture gemma_architecture{"gemma", build};

}  // namespace pronk::models
