// Gemma 2 (arXiv 2408.00118): norms around attention and feed-forward, every other layer sees a window, soft caps.
#include "models/gemma.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  Build& b = l.build;
  SelfAttention attention = read_attention(l, RopePairs::halves);
  attention.scale = gemma_scale(l, attention.heads, 46);  // 27B
  attention.soft_cap = b.number_or("attn_logit_softcapping", 50);
  if (b.sliding_layers(2)[l.index]) attention.window = b.count_or("attention.sliding_window", 4096);
  return sandwich_norm_layer(l, x, attention, graph::Function::gelu_tanh_gate);
}

void build(Build& b) {
  const ValueId hidden = b.rms_norm(all_layers(b, gemma_embed(b), layer), "output_norm");
  b.finish(hidden, gemma_logits(b, hidden, 30));
}

}  // namespace

extern const Architecture gemma2_architecture{"gemma2", build};

}  // namespace pronk::models
