// Qwen3-VL (arXiv 2511.21631), the language model: a text's positions are equal in all sections of the RoPE, which
// makes it the plain one.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) { return pre_norm_layer(l, x, read_attention(l, RopePairs::halves)); }

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture qwen3vl_architecture{"qwen3vl", build};

}  // namespace pronk::models
