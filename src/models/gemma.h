// What the Gemma models share (arXiv 2403.08295, 2408.00118, 2503.19786). Their norm weights in a file hold the 1 that
// the papers add.
#pragma once

#include "models/decoder.h"

namespace pronk::models {

// [tokens, width] of the tokens' embeddings · √width.
ValueId gemma_embed(Build& build);

// Capped by final_logit_softcapping, or by `cap` when the file does not say; 0: they are not.
ValueId gemma_logits(Build& build, ValueId hidden, double cap);

// 1 / √key, or, for the one model of each family that has `special_layers`, 1 / √(width / heads): what attention.scale
// says comes first.
double gemma_scale(Layer& layer, const Heads& heads, u32 special_layers);

// A layer of Gemma 3: each sixth sees all and rotates by rope.freq_base with its scaling, the others see a window and
// rotate by rope.freq_base_swa, plainly.
ValueId gemma3_layer(Layer& layer, ValueId x, bool causal);

}  // namespace pronk::models
