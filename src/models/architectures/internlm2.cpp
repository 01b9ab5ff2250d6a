// InternLM2 (arXiv 2403.17297).
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) { return pre_norm_layer(l, x, read_attention(l, RopePairs::adjacent)); }

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture internlm2_architecture{"internlm2", build};

}  // namespace pronk::models
