// Gemma 3 (arXiv 2503.19786), the language model: five layers that see a window to one that sees all, q and k
// normalized.
#include "models/gemma.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) { return gemma3_layer(l, x, true); }

void build(Build& b) {
  const ValueId hidden = b.rms_norm(all_layers(b, gemma_embed(b), layer), "output_norm");
  const double cap = b.number_or("final_logit_softcapping", 0);
  const ValueId logits = b.logits(hidden);
  b.finish(hidden, cap != 0 ? b.graph.map(graph::Function::soft_cap, logits, {float(cap)}) : logits);
}

}  // namespace

extern const Architecture gemma3_architecture{"gemma3", build};

}  // namespace pronk::models
