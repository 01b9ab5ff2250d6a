// Qwen2 with experts (arXiv 2407.10671): biases on q, k and v, a gated shared expert. Qwen3 with experts (arXiv
// 2505.09388): heads of q and k are normalized. OLMoE (arXiv 2409.02060): whole rows of them are.
#include "models/experts.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x, bool normalize) {
  x = l.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), read_attention(l, RopePairs::halves)));
  return l.graph.add(x, dense_or_expert_feed_forward(l, l.rms_norm(x, "ffn_norm"), read_experts(l.build, normalize)));
}

void build(Build& b) {
  build_decoder(b, [](Layer& l, ValueId x) { return layer(l, x, false); });
}
// The weights of a token's experts add up to 1.
void build_normalized(Build& b) {
  build_decoder(b, [](Layer& l, ValueId x) { return layer(l, x, true); });
}

}  // namespace

extern const Architecture qwen_moe_architecture[] = {
    {"qwen2moe", build}, {"qwen3moe", build_normalized}, {"olmoe", build}};

}  // namespace pronk::models
