// gpt-oss (arXiv 2508.10925): every other layer sees a window; a sink in each head's softmax; biases everywhere;
// experts whose gate and up are clamped.
#include "models/experts.h"

namespace pronk::models {
namespace {

void build(Build& b) {
  Experts experts = read_experts(b, false);
  experts.gating = graph::Route::Gating::softmax_after;
  experts.gate = graph::Function::clamped_gate;
  experts.gate_parameters = {1.702f, 7};
  const u32 window = b.count("attention.sliding_window");
  const auto sliding = b.sliding_layers(2);

  ValueId x = b.embed();  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const Heads heads = read_heads(b, il);
    const RopeId rope = b.rope(RopePairs::halves, read_rotated(b, heads));
    x = b.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"),
                                      {.heads = heads, .rope = rope, .window = sliding[il] ? window : 0}));
    x = b.graph.add(x, expert_feed_forward(l, l.rms_norm(x, "post_attention_norm"), experts));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, b.logits(x));
}

}  // namespace

extern const Architecture gpt_oss_architecture{"gpt-oss", build};

}  // namespace pronk::models
