// ERNIE 4.5 with experts: the first layers are dense; a bias of each expert counts for the choice only.
#include "models/experts.h"

namespace pronk::models {
namespace {

void build(Build& b) {
  const auto feed_forward = b.each_layer("feed_forward_length");
  const Experts experts = read_experts(b);
  const u32 dense = b.whole_or("leading_dense_block_count", 0), step = b.count_or("interleave_moe_layer_step", 1);
  ValueId x = b.embed();  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const Heads heads = read_heads(b, il);
    const RopeId rope = b.rope(RopePairs::adjacent, read_rotated(b, heads));
    x = b.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), {.heads = heads, .rope = rope}));
    const ValueId n = l.rms_norm(x, "ffn_norm");
    const bool sparse = il >= dense && (il + 1) % step == 0;
    x = b.graph.add(x, sparse ? expert_feed_forward(l, n, experts) : gated_feed_forward(l, n, feed_forward[il]));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, b.logits(x));
}

}  // namespace

extern const Architecture ernie4_5_moe_architecture{"ernie4_5-moe", build};

}  // namespace pronk::models
