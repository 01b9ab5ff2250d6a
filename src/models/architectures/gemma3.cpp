// Gemma 3 (arXiv 2503.19786), the language model: five layers that see a window to one that sees all, q and k
// normalized.
#include "models/gemma.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) { return gemma3_layer(l, x, true); }

void build(Build& b) {
  const ValueId hidden = b.rms_norm(all_layers(b, gemma_embed(b), layer), "output_norm");
  b.finish(hidden, gemma_logits(b, hidden, 0));
}

}  // namespace

extern const Architecture gemma3_architecture{"gemma3", build};

}  // namespace pronk::models
