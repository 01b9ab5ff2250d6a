#include "models/gemma.h"

#include <cmath>

namespace pronk::models {

ValueId gemma_embed(Build& b) { return b.graph.scale(b.embed(), std::sqrt(double(b.hyper.width))); }

ValueId gemma_logits(Build& b, ValueId hidden, double cap) {
  cap = b.number_or("final_logit_softcapping", cap);
  const ValueId logits = b.logits(hidden);
  return cap == 0 ? logits : b.graph.map(graph::Function::soft_cap, logits, {float(cap)});
}

double gemma_scale(Layer& l, const Heads& heads, u32 special_layers) {
  if (l.build.has_key("attention.scale")) return read_scale(l.build, heads);
  const u32 width = l.build.hyper.layers == special_layers ? l.build.hyper.width / heads.query : heads.key;
  return 1 / std::sqrt(double(width));
}

ValueId gemma3_layer(Layer& l, ValueId x, bool causal) {
  const u32 window = l.build.whole_or("attention.sliding_window", 0);
  const bool slides = window > 0 && l.build.sliding_layers(6)[l.index];
  Build::RopeOptions rope;
  if (slides) rope = {.base_key = "rope.freq_base_swa", .scaled = false, .factors = false};
  SelfAttention attention = read_attention(l, RopePairs::halves, rope);
  attention.scale = gemma_scale(l, attention.heads, 62);  // 27B
  attention.window = slides ? window : 0;
  attention.causal = causal;
  return sandwich_norm_layer(l, x, attention, graph::Function::gelu_tanh_gate);
}

}  // namespace pronk::models
