// Granite 3 with experts: embeddings, residual sums, attention and logits have scales of their own.
#include "models/experts.h"

namespace pronk::models {
namespace {

void build(Build& b) {
  const Experts experts = read_experts(b);
  const float residual_scale = float(b.number_or("residual_scale", 1));
  const auto add = [&](ValueId x, ValueId y) {
    return b.graph.map(graph::Function::add_scaled, x, y, {residual_scale});
  };
  ValueId x = b.graph.scale(b.embed(), b.number_or("embedding_scale", 1));  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const Heads heads = read_heads(b, il);
    const RopeId rope = b.rope(RopePairs::adjacent, read_rotated(b, heads));
    x = add(x, self_attention(l, l.rms_norm(x, "attn_norm"),
                              {.heads = heads, .rope = rope, .scale = read_scale(b, heads)}));
    x = add(x, expert_feed_forward(l, l.rms_norm(x, "ffn_norm"), experts));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, b.graph.scale(b.logits(x), 1 / b.number("logit_scale")));
}

}  // namespace

extern const Architecture granitemoe_architecture{"granitemoe", build};

}  // namespace pronk::models
