// Qwen2 and Qwen2.5 (arXiv 2407.10671): biases on q, k and v.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) { return pre_norm_layer(l, x, read_attention(l, RopePairs::halves)); }

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture qwen2_architecture{"qwen2", build};

}  // namespace pronk::models
