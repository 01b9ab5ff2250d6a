// What Cohere's Command models share.
#pragma once

#include "models/decoder.h"

namespace pronk::models {

// Attention and feed-forward side by side on one layer norm; norms of q and k, where there are any, of each head.
ValueId cohere_layer(Layer& layer, ValueId x, SelfAttention attention);

// logits · logit_scale.
void build_cohere(Build& build, LayerFunction layer);

}  // namespace pronk::models
