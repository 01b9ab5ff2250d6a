// ModernBERT (arXiv 2412.13663): an encoder with rotation, gated feed-forward networks and norms before them; two of
// three layers see a window.
#include "models/decoder.h"

namespace pronk::models {
namespace {

void build(Build& b) {
  const u32 window = b.whole_or("attention.sliding_window", 0);
  const std::vector<bool> sliding = b.sliding_layers(3, 0);
  if (b.pooling() == graph::Pooling::rank) b.fail("rerankers of this architecture are not supported");
  ValueId x = b.layer_norm(b.embed(), "token_embd_norm");  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const bool slides = window > 0 && sliding[il];
    const Heads heads = read_heads(b, il);
    const RopeId rope = b.rope(RopePairs::halves, read_rotated(b, heads),
                               {.base_key = slides ? "rope.freq_base_swa" : "rope.freq_base"});
    const ValueId n = l.has("attn_norm.weight") ? l.layer_norm(x, "attn_norm") : x;  // the first layer has none
    x = b.graph.add(
        x, self_attention(l, n, {.heads = heads, .rope = rope, .window = slides ? window : 0, .causal = false}));
    x = b.graph.add(
        x, gated_feed_forward(l, l.layer_norm(x, "ffn_norm"), read_feed_forward(l), graph::Function::gelu_gate));
  }
  b.finish(b.layer_norm(x, "output_norm"));
}

}  // namespace

extern const Architecture modern_bert_architecture{"modern-bert", build};

}  // namespace pronk::models
