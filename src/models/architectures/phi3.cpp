// Phi-3 and Phi-4 (arXiv 2404.14219): q, k, v are rows of one tensor, so are gate and up; long contexts by LongRoPE.
// attention.sliding_window is left aside: the models are run without it.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) { return pre_norm_layer(l, x, read_attention(l, RopePairs::halves)); }

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture phi3_architecture{"phi3", build};

}  // namespace pronk::models
