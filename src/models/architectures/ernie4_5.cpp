// ERNIE 4.5, dense (ERNIE 4.5 Technical Report, Baidu 2025).
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) { return pre_norm_layer(l, x, read_attention(l, RopePairs::adjacent)); }

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture ernie4_5_architecture{"ernie4_5", build};

}  // namespace pronk::models
