// Llama 1–3, SmolLM, Mistral and their like (arXiv 2302.13971), and Mixtral, which has experts (arXiv 2401.04088). Some
// files carry attention biases.
#include "models/experts.h"

namespace pronk::models {
namespace {

void build(Build& b) {
  const auto feed_forward = b.each_layer("feed_forward_length");
  const Experts experts = read_experts(b);
  ValueId x = b.embed();  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const Heads heads = read_heads(b, il);
    const RopeId rope = b.rope(RopePairs::adjacent, read_rotated(b, heads));
    x = b.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"),
                                      {.heads = heads, .rope = rope, .scale = read_scale(b, heads)}));
    const ValueId n = l.rms_norm(x, "ffn_norm");
    x = b.graph.add(
        x, experts.count > 0 ? expert_feed_forward(l, n, experts) : gated_feed_forward(l, n, feed_forward[il]));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, b.logits(x));
}

}  // namespace

extern const Architecture llama_architecture{"llama", build};

}  // namespace pronk::models
