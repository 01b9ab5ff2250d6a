// ERNIE 4.5 with experts: the first layers are dense; a bias of each expert counts for the choice only.
#include "models/experts.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  x = l.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), read_attention(l, RopePairs::adjacent)));
  return l.graph.add(x, dense_or_expert_feed_forward(l, l.rms_norm(x, "ffn_norm"), read_experts(l.build)));
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture ernie4_5_moe_architecture{"ernie4_5-moe", build};

}  // namespace pronk::models
