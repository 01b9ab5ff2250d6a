// Granite 3 and 4 (IBM 2024), dense or with experts: Llama with scales on embeddings, attention, residuals and logits.
#include "models/experts.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  const float scale = float(l.build.number_or("residual_scale", 1));
  const bool rotates = l.build.flag_or("rope.scaling.finetuned", true);
  const auto attention = rotates ? read_attention(l, RopePairs::adjacent) : read_unrotated_attention(l);
  const ValueId a = self_attention(l, l.rms_norm(x, "attn_norm"), attention);
  x = l.graph.map(graph::Function::add_scaled, x, a, {scale});
  const ValueId f = dense_or_expert_feed_forward(l, l.rms_norm(x, "ffn_norm"), read_experts(l.build));
  return l.graph.map(graph::Function::add_scaled, x, f, {scale});
}

void build(Build& b) {
  const ValueId x = b.graph.scale(b.embed(), b.number_or("embedding_scale", 1));
  const ValueId hidden = b.rms_norm(all_layers(b, x, layer), "output_norm");
  b.finish(hidden, b.graph.scale(b.logits(hidden), 1 / b.number("logit_scale")));
}

}  // namespace

extern const Architecture granite_architecture[] = {{"granite", build}, {"granitemoe", build}};

}  // namespace pronk::models
