// StableLM 2 (arXiv 2402.17834): layer norms, part of a head rotated. The 12B normalizes q and k by heads and has
// attention and feed-forward side by side: its files have no ffn_norm, and use_parallel_residual is not to be relied
// on.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  SelfAttention attention = read_attention(l, RopePairs::halves);
  attention.norm = graph::Norm::Kind::layer;
  const ValueId n = l.layer_norm(x, "attn_norm");  // [tokens, width]
  x = l.graph.add(x, self_attention(l, n, attention));
  const bool parallel = !l.has("ffn_norm.weight");
  return l.graph.add(x, gated_feed_forward(l, parallel ? n : l.layer_norm(x, "ffn_norm"), read_feed_forward(l)));
}

void build(Build& b) { build_layer_norm_decoder(b, layer); }

}  // namespace

extern const Architecture stablelm_architecture{"stablelm", build};

}  // namespace pronk::models
