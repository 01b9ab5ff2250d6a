// EXAONE 4.0 (arXiv 2507.11407): norms after attention and feed-forward. The 32B has three layers that see a window and
// rotate to one that sees all and does not; the 1.2B has no window.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  const u32 window = l.build.whole_or("attention.sliding_window", 0);
  const bool slides = window > 0 && l.build.sliding_layers(4)[l.index];
  SelfAttention attention = window == 0 || slides ? read_attention(l, RopePairs::halves) : read_unrotated_attention(l);
  attention.window = slides ? window : 0;
  return post_norm_layer(l, x, attention);
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture exaone4_architecture{"exaone4", build};

}  // namespace pronk::models
