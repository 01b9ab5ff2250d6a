// Qwen2 with experts (arXiv 2407.10671), Qwen3 with experts (arXiv 2505.09388) and OLMoE (arXiv 2409.02060). Qwen2 has
// biases on q, k and v and a gated shared expert; Qwen3 and OLMoE normalize q and k: each head, or whole rows.
#include "models/experts.h"

namespace pronk::models {
namespace {

void build(Build& b, bool normalize) {
  const Experts experts = read_experts(b, normalize);
  ValueId x = b.embed();  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const Heads heads = read_heads(b, il);
    const RopeId rope = b.rope(RopePairs::halves, read_rotated(b, heads));
    x = b.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"),
                                      {.heads = heads, .rope = rope, .scale = read_scale(b, heads)}));
    x = b.graph.add(x, expert_feed_forward(l, l.rms_norm(x, "ffn_norm"), experts));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, b.logits(x));
}

void build_normalized(Build& b) { build(b, true); }
void build_plain(Build& b) { build(b, false); }

}  // namespace

extern const Architecture qwen_moe_architecture[] = {
    {"qwen2moe", build_plain}, {"qwen3moe", build_normalized}, {"olmoe", build_plain}};

}  // namespace pronk::models
