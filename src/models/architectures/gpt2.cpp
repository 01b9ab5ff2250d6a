// GPT-2 (Radford et al. 2019): learned positions instead of rotation.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  return layer_norm_layer(l, x, read_unrotated_attention(l), graph::Function::gelu_tanh);
}

void build(Build& b) {
  const WeightId positions = b.matrix("position_embd.weight", b.hyper.context_length, b.hyper.width);
  const ValueId x = b.graph.add(b.embed(), b.graph.embed(positions, true));  // [tokens, width]
  const ValueId hidden = b.layer_norm(all_layers(b, x, layer), "output_norm");
  b.finish(hidden, b.logits(hidden));
}

}  // namespace

extern const Architecture gpt2_architecture{"gpt2", build};

}  // namespace pronk::models
