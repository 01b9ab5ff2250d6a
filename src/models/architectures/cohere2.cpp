// Command R7B and Command A (arXiv 2504.00698): three layers that see a window and rotate to one that sees all and does
// not.
#include "models/cohere.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  if (!l.build.sliding_layers(4)[l.index]) return cohere_layer(l, x, read_unrotated_attention(l));
  SelfAttention attention = read_attention(l, RopePairs::adjacent);
  attention.window = l.build.count("attention.sliding_window");
  return cohere_layer(l, x, attention);
}

void build(Build& b) { build_cohere(b, layer); }

}  // namespace

extern const Architecture cohere2_architecture{"cohere2", build};

}  // namespace pronk::models
