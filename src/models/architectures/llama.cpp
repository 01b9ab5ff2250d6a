// Llama 1–3, SmolLM, Mistral and their like (arXiv 2302.13971); Mixtral, which has experts (arXiv 2401.04088). Some
// files carry attention biases.
#include "models/experts.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  x = l.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), read_attention(l, RopePairs::adjacent)));
  return l.graph.add(x, dense_or_expert_feed_forward(l, l.rms_norm(x, "ffn_norm"), read_experts(l.build)));
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture llama_architecture{"llama", build};

}  // namespace pronk::models
