// GLM 4.5 (arXiv 2508.06471): the first layers are dense, the others have a shared expert; half of each head is
// rotated; some sizes normalize the heads of q and k.
#include "models/experts.h"

namespace pronk::models {
namespace {

void build(Build& b) {
  skip_prediction_layers(b);
  const auto feed_forward = b.each_layer("feed_forward_length");
  Experts experts = read_experts(b, false);
  if (!b.has_key("expert_gating_func")) experts.gating = graph::Route::Gating::sigmoid;
  const u32 dense = b.whole_or("leading_dense_block_count", 0);
  ValueId x = b.embed();  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const Heads heads = read_heads(b, il);
    const RopeId rope = b.rope(RopePairs::halves, read_rotated(b, heads));
    x = b.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), {.heads = heads, .rope = rope}));
    const ValueId n = l.rms_norm(x, "post_attention_norm");
    x = b.graph.add(x, il < dense ? gated_feed_forward(l, n, feed_forward[il]) : expert_feed_forward(l, n, experts));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, b.logits(x));
}

}  // namespace

extern const Architecture glm4moe_architecture{"glm4moe", build};

}  // namespace pronk::models
