// gpt-oss (arXiv 2508.10925): every other layer sees a window; a sink in each head's softmax; biases everywhere;
// experts whose gate and up are clamped.
#include "models/experts.h"

namespace pronk::models {
namespace {

Experts clamped_experts(Build& b) {
  Experts experts = read_experts(b, false);
  experts.gating = graph::Route::Gating::softmax_after;
  experts.gate = graph::Function::clamped_gate;
  experts.gate_parameters = {1.702f, 7};
  return experts;
}

ValueId layer(Layer& l, ValueId x) {
  Build& b = l.build;
  SelfAttention attention = read_attention(l, RopePairs::halves);
  if (b.sliding_layers(2)[l.index]) attention.window = b.count("attention.sliding_window");
  x = l.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), attention));
  return l.graph.add(x, dense_or_expert_feed_forward(l, l.rms_norm(x, "post_attention_norm"), clamped_experts(b)));
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture gpt_oss_architecture{"gpt-oss", build};

}  // namespace pronk::models
