// Gemma 4: sliding and full layers with heads of their own sizes; small models add a vector for each token and layer, a
// large one has experts beside the dense network.
#include <algorithm>
#include <cmath>

#include "models/experts.h"
#include "models/gemma_layers.h"

namespace pronk::models {
namespace {

Heads heads_of(Build& b, u32 layer, bool sliding) {
  Heads heads = read_heads(b, layer);
  if (sliding) {
    heads.key = b.count_or("attention.key_length_swa", heads.key);
    heads.value = b.count_or("attention.value_length_swa", heads.key);
  }
  if (heads.key == heads.value && heads.key % 4 == 0 && heads.key <= 1024) return heads;
  b.fail("attention.key_length* and value_length* differ, or are no multiples of 4 up to 1024: not supported");
  heads.key = heads.value = 4;
  return heads;
}

RopeId rope_of(Build& b, const Heads& heads, bool sliding) {
  const u32 rotated = sliding ? b.count_or("rope.dimension_count_swa", heads.key) : read_rotated(b, heads);
  if (rotated > heads.key || rotated % 2 != 0) {
    b.fail("rope.dimension_count_swa is not an even number up to the head size", ErrorCode::unspecified);
    return b.rope(RopePairs::halves, 2);
  }
  Build::RopeOptions options;
  if (sliding) options = {.base_key = "rope.freq_base_swa", .scaled = false, .factors = false};
  return b.rope(RopePairs::halves, rotated, options);
}

// x [tokens, width] → [tokens, width]. The router sees x normalized without the weight of the experts' norm.
ValueId feed_forward(Layer& l, ValueId x, const Experts& experts) {
  auto& g = l.graph;
  const ValueId dense =
      gated_feed_forward(l, l.rms_norm(x, "ffn_norm"), read_feed_forward(l), graph::Function::gelu_tanh_gate);
  if (experts.count == 0 || !l.has("ffn_gate_inp.weight")) return dense;
  const u32 width = g.width(x);
  const ValueId routing = g.norm({.x = x,
                                  .weight = l.build.vector(l.name("ffn_gate_inp.scale"), width),
                                  .group = width,
                                  .eps = float(l.build.rms_eps()),
                                  .scale = float(1 / std::sqrt(double(width)))});
  const ValueId sparse = routed_experts(l, l.rms_norm(x, "pre_ffw_norm_2"), route(l, routing, experts), experts);
  return g.add(l.rms_norm(dense, "post_ffw_norm_1"), l.rms_norm(sparse, "post_ffw_norm_2"));
}

void build(Build& b) {
  auto& g = b.graph;
  Experts experts = read_experts(b);
  experts.gate = graph::Function::gelu_tanh_gate;
  const u32 shared = std::min(b.whole_or("attention.shared_kv_layers", 0), b.hyper.layers);
  SharedAttention attention(b, 6, b.hyper.layers - shared);
  const u32 per_layer_width = b.whole_or("embedding_length_per_layer_input", 0);

  ValueId x = gemma_embed(b);  // [tokens, width]
  const ValueId inputs = per_layer_width > 0 ? per_layer_inputs(b, x, per_layer_width) : ValueId::none;
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const bool sliding = attention.sliding(il);
    const Heads heads = heads_of(b, il, sliding);
    const ValueId a = attention(l, l.rms_norm(x, "attn_norm"), heads, rope_of(b, heads, sliding));
    x = g.add(x, l.rms_norm(a, "post_attention_norm"));
    x = g.add(x, l.rms_norm(feed_forward(l, x, experts), "post_ffw_norm"));
    if (inputs != ValueId::none) x = g.add(x, per_layer_output(l, x, inputs));
    const WeightId scale = b.optional_vector(l.name("layer_output_scale.weight"), 1);
    if (scale != WeightId::none) x = g.map(graph::Function::multiply, x, scale);
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, gemma_logits(b, x, 0));
}

}  // namespace

extern const Architecture gemma4_architecture{"gemma4", build};

}  // namespace pronk::models
