// LFM2 (arXiv 2511.23404): most layers are short convolutions, the others attention; in the larger ones most
// feed-forward networks are experts, which a sigmoid routes to.
#include "models/experts.h"
#include "models/recurrent.h"

namespace pronk::models {
namespace {

ValueId attention(Layer& l, ValueId n) {
  const Heads heads = read_heads(l.build, l.index);
  const RopeId rope = l.build.rope(RopePairs::halves, read_rotated(l.build, heads));
  return self_attention(l, n, {.heads = heads, .rope = rope, .scale = read_scale(l.build, heads)});
}

void build(Build& b) {
  const auto kv_heads = b.each_layer("attention.head_count_kv");  // 0: a convolution
  const Experts experts = read_experts(b, true);
  ValueId x = b.embed();  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const ValueId n = l.rms_norm(x, "attn_norm");
    x = b.graph.add(x, kv_heads[il] == 0 ? short_convolution(l, n) : attention(l, n));
    x = b.graph.add(x, dense_or_expert_feed_forward(l, l.rms_norm(x, "ffn_norm"), experts));
  }
  x = b.rms_norm(x, "token_embd_norm");  // so named, though it is the last norm
  b.finish(x, b.logits(x));
}

}  // namespace

extern const Architecture lfm2_architecture[] = {{"lfm2", build}, {"lfm2moe", build}};

}  // namespace pronk::models
