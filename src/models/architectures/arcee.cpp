// Arcee AFM (Arcee AI 2025): Llama with a squared ReLU (arXiv 2109.08668) instead of a gate.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  x = l.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), read_attention(l, RopePairs::adjacent)));
  return l.graph.add(x,
                     feed_forward(l, l.rms_norm(x, "ffn_norm"), read_feed_forward(l), graph::Function::relu_squared));
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture arcee_architecture{"arcee", build};

}  // namespace pronk::models
