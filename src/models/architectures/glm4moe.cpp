// GLM 4.5 (arXiv 2508.06471): the first layers are dense, the others have a shared expert; half of each head is
// rotated; some sizes normalize the heads of q and k.
#include "models/experts.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  Experts experts = read_experts(l.build, false);
  if (!l.build.has_key("expert_gating_func")) experts.gating = graph::Route::Gating::sigmoid;
  x = l.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), read_attention(l, RopePairs::halves)));
  return l.graph.add(x, dense_or_expert_feed_forward(l, l.rms_norm(x, "post_attention_norm"), experts));
}

void build(Build& b) {
  skip_prediction_layers(b);
  build_decoder(b, layer);
}

}  // namespace

extern const Architecture glm4moe_architecture{"glm4moe", build};

}  // namespace pronk::models
