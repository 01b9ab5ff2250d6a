// Ministral 3 (arXiv 2601.08584): Llama with YaRN and queries that grow with the logarithm of their position.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  Build& b = l.build;
  // A multiplier says that YaRN's factor on cosines and sines is divided by the same again.
  const bool magnitude = b.number_or("rope.scaling.yarn_log_multiplier", 0) == 0;
  SelfAttention attention = read_attention(l, RopePairs::adjacent, {.magnitude = magnitude});
  attention.position_scale = b.number_or("attention.temperature_scale", 0);
  attention.position_interval = b.count_or("rope.scaling.original_context_length", b.hyper.context_length);
  return pre_norm_layer(l, x, attention);
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture mistral3_architecture{"mistral3", build};

}  // namespace pronk::models
