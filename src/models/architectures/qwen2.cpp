// Qwen2 and Qwen2.5 (arXiv 2407.10671): Llama with biases on q, k and v.
#include "models/build.h"

namespace pronk::models {
namespace {

void build(Build& b) {
  const auto feed_forward = b.each_layer("feed_forward_length");
  ValueId x = b.embed();  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const Heads heads = read_heads(b, il);
    const RopeId rope = b.rope(RopePairs::halves, read_rotated(b, heads));
    x = b.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"),
                                      {.heads = heads, .rope = rope, .scale = read_scale(b, heads)}));
    x = b.graph.add(x, gated_feed_forward(l, l.rms_norm(x, "ffn_norm"), feed_forward[il]));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, b.logits(x));
}

}  // namespace

extern const Architecture qwen2_architecture{"qwen2", build};

}  // namespace pronk::models
