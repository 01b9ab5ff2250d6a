// What decoders have in common: the common kinds of layers, and the way from tokens to logits.
#pragma once

#include "models/build.h"

namespace pronk::models {

// Attention as the keys say. Without rotation:
SelfAttention read_unrotated_attention(Layer& layer);
SelfAttention read_attention(Layer& layer, RopePairs pairs, const Build::RopeOptions& rope = {});
u32 read_feed_forward(Layer& layer);  // feed_forward_length of a layer

// A layer is x + attention(…), then x + feed-forward(…), with gates and RMS norms that stand
// before each: attn_norm, ffn_norm (arXiv 2302.13971)
ValueId pre_norm_layer(Layer& layer, ValueId x, const SelfAttention& attention);
// after each: post_attention_norm, post_ffw_norm (arXiv 2501.00656)
ValueId post_norm_layer(Layer& layer, ValueId x, const SelfAttention& attention);
// before and after: all four (arXiv 2408.00118)
ValueId sandwich_norm_layer(Layer& layer, ValueId x, const SelfAttention& attention,
                            graph::Function gate = graph::Function::silu_gate);
// or layer norms before each, and no gates (GPT-2).
ValueId layer_norm_layer(Layer& layer, ValueId x, const SelfAttention& attention, graph::Function function);

using LayerFunction = ValueId (*)(Layer& layer, ValueId x);
ValueId all_layers(Build& build, ValueId x, LayerFunction layer);
// logits(norm(layers(embedding))), with an RMS norm, or a layer norm.
void build_decoder(Build& build, LayerFunction layer);
void build_layer_norm_decoder(Build& build, LayerFunction layer);

}  // namespace pronk::models
