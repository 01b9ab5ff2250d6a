// OLMo 2 (arXiv 2501.00656): norms after attention and feed-forward; q and k normalized over all heads at once.
// OLMo 3 (arXiv 2512.13961) adds a window to three of four layers, and YaRN to the fourth.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  const u32 window = l.build.whole_or("attention.sliding_window", 0);
  const bool slides = window > 0 && l.build.sliding_layers(4)[l.index];
  const bool own_base = slides && l.build.has_key("rope.freq_base_swa");
  SelfAttention attention = read_attention(
      l, RopePairs::halves, {.base_key = own_base ? "rope.freq_base_swa" : "rope.freq_base", .scaled = !slides});
  attention.window = slides ? window : 0;
  return post_norm_layer(l, x, attention);
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture olmo2_architecture{"olmo2", build};

}  // namespace pronk::models
