// Hunyuan, dense (Tencent 2025): q and k are normalized after rotation. The NTK factor is part of rope.freq_base.
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  SelfAttention attention = read_attention(l, RopePairs::halves);
  attention.norm_after_rope = true;
  return pre_norm_layer(l, x, attention);
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture hunyuan_dense_architecture{"hunyuan-dense", build};

}  // namespace pronk::models
