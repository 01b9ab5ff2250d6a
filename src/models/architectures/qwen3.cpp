// Qwen3 (arXiv 2505.09388), its embedding models included: every head of q and k is normalized before it is rotated.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) { return pre_norm_layer(l, x, read_attention(l, RopePairs::halves)); }

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture qwen3_architecture{"qwen3", build};

}  // namespace pronk::models
