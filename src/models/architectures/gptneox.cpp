// GPT-NeoX and Pythia (arXiv 2204.06745, 2304.01373): attention and feed-forward side by side on norms of their own.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  const ValueId a = self_attention(l, l.layer_norm(x, "attn_norm"), read_attention(l, RopePairs::halves));
  const ValueId sum = l.graph.add(x, a);
  const bool parallel = l.build.flag_or("use_parallel_residual", true);
  const ValueId n = l.layer_norm(parallel ? x : sum, "ffn_norm");
  return l.graph.add(sum, feed_forward(l, n, read_feed_forward(l), graph::Function::gelu));
}

void build(Build& b) { build_layer_norm_decoder(b, layer); }

}  // namespace

extern const Architecture gptneox_architecture{"gptneox", build};

}  // namespace pronk::models
