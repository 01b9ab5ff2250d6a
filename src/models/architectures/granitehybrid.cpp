// Granite 4 (arXiv 2405.21060 for its Mamba 2 layers): attention in few layers, often without rotation; embeddings,
// residual sums and logits are scaled.
#include "models/experts.h"
#include "models/recurrent.h"

namespace pronk::models {
namespace {

ValueId attention(Layer& l, ValueId n) {
  Build& b = l.build;
  const Heads heads = read_heads(b, l.index);
  const bool rotates = b.flag_or("rope.scaling.finetuned", true);
  const RopeId rope = rotates ? b.rope(RopePairs::adjacent, read_rotated(b, heads)) : RopeId::none;
  return self_attention(l, n, {.heads = heads, .rope = rope, .scale = read_scale(b, heads)});
}

void build(Build& b) {
  const auto kv_heads = b.each_layer("attention.head_count_kv");  // 0: a Mamba 2 layer
  const float residual_scale = float(b.number_or("residual_scale", 1));
  const Experts experts = read_experts(b, true);
  const auto add = [&](ValueId x, ValueId y) {
    return b.graph.map(graph::Function::add_scaled, x, y, {residual_scale});
  };

  ValueId x = b.graph.scale(b.embed(), b.number_or("embedding_scale", 1));  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const ValueId n = l.rms_norm(x, "attn_norm");
    x = add(x, kv_heads[il] == 0 ? mamba2(l, n) : attention(l, n));
    x = add(x, dense_or_expert_feed_forward(l, l.rms_norm(x, "ffn_norm"), experts));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, b.graph.scale(b.logits(x), 1 / b.number_or("logit_scale", 1)));
}

}  // namespace

extern const Architecture granitehybrid_architecture{"granitehybrid", build};

}  // namespace pronk::models
