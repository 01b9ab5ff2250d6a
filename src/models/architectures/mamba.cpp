// Mamba and FalconMamba (arXiv 2312.00752, 2410.05355), Mamba 2 (arXiv 2405.21060): nothing but state space layers.
#include "models/recurrent.h"

namespace pronk::models {
namespace {

template <ValueId (*mixer)(Layer&, ValueId)>
void build(Build& b) {
  ValueId x = b.embed();  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    x = b.graph.add(x, mixer(l, l.rms_norm(x, "attn_norm")));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, b.logits(x));
}

}  // namespace

extern const Architecture mamba_architecture[] = {{"mamba", build<mamba>}, {"mamba2", build<mamba2>}};

}  // namespace pronk::models
