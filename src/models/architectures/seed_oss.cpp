// Seed-OSS (ByteDance 2025): biases on q, k and v; the feed-forward's norm is named post_attention_norm.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  x = l.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), read_attention(l, RopePairs::halves)));
  return l.graph.add(x, gated_feed_forward(l, l.rms_norm(x, "post_attention_norm"), read_feed_forward(l)));
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture seed_oss_architecture{"seed_oss", build};

}  // namespace pronk::models
