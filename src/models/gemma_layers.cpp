#include "models/gemma_layers.h"

#include <cmath>

namespace pronk::models {
namespace {

using graph::Function;

// Each head on its own, with a weight for its columns, or none. [tokens, heads · width] → the same
ValueId head_norm(Layer& layer, ValueId x, std::string_view stem, u32 width) {
  const bool weighted = !stem.empty();
  return layer.graph.norm(
      {.x = x,
       .weight = weighted ? layer.build.vector(layer.name(stem) + ".weight", width) : WeightId::none,
       .group = width,
       .eps = float(layer.build.rms_eps())});
}

}  // namespace

ValueId per_layer_inputs(Build& b, ValueId x, u32 width) {
  auto& g = b.graph;
  if (u64(b.hyper.layers) * width > graph::max_width) {
    b.fail("embedding_length_per_layer_input is out of range", ErrorCode::unspecified);
    return x;
  }
  const u32 all = b.hyper.layers * width;
  const ValueId table =
      g.embed(b.matrix("per_layer_token_embd.weight", b.hyper.vocab, all));  // [tokens, layers · width]
  const ValueId projected = g.scale(b.linear(x, "per_layer_model_proj", all), 1 / std::sqrt(double(b.hyper.width)));
  const ValueId normed = g.rms_norm(projected, b.vector("per_layer_proj_norm.weight", width), float(b.rms_eps()));
  return g.scale(g.add(normed, g.scale(table, std::sqrt(double(width)))), 1 / std::sqrt(2.0));
}

ValueId per_layer_output(Layer& l, ValueId x, ValueId inputs) {
  const u32 width = l.graph.width(inputs) / l.build.hyper.layers;
  const ValueId own = l.graph.columns(inputs, l.index * width, width);                               // [tokens, width]
  const ValueId gated = l.graph.map(Function::gelu_tanh_gate, l.linear(x, "inp_gate", width), own);  // [tokens, width]
  return l.rms_norm(l.linear(gated, "proj", l.build.hyper.width), "post_norm");
}

SharedAttention::SharedAttention(Build& build, u32 period, u32 own)
    : sliding_(build.sliding_layers(period)), window_(build.count("attention.sliding_window")), own_(own) {}

StateId SharedAttention::store(Layer& l, ValueId n, const Heads& h, RopeId rope, u32 window) {
  auto& g = l.graph;
  const ValueId k = l.linear(n, "attn_k", h.kv * h.key);                                 // [tokens, kv · key]
  const ValueId v = l.has("attn_v.weight") ? l.linear(n, "attn_v", h.kv * h.value) : k;  // [tokens, kv · value]
  const StateId state =
      g.state(graph::KvState{.heads = h.kv, .key_width = h.key, .value_width = h.value, .window = window});
  const ValueId rotated = g.rope(head_norm(l, k, "attn_k_norm", h.key), rope, h.key);
  g.store_kv(state, rotated, head_norm(l, v, "", h.value));
  return state;
}

ValueId SharedAttention::operator()(Layer& l, ValueId n, const Heads& h, RopeId rope) {
  auto& g = l.graph;
  StateId& last = last_[sliding_[l.index]];
  const u32 window = sliding_[l.index] ? window_ : 0;
  if (l.index < own_) last = store(l, n, h, rope, window);
  const graph::KvState seen = last == StateId::none ? graph::KvState{} : g.graph().kv(last);
  if (h.key != h.value || seen.key_width != h.key || h.query % seen.heads != 0) {
    l.build.fail("no layer up to layer " + std::to_string(l.index) + " has keys and values that fit its heads",
                 ErrorCode::unspecified);
    return n;
  }
  const ValueId q =
      head_norm(l, l.linear(n, "attn_q", h.query * h.key), "attn_q_norm", h.key);  // [tokens, query · key]
  const ValueId a =
      g.attention({.state = last, .q = g.rope(q, rope, h.key), .heads = h.query, .scale = 1, .window = window});
  return l.linear(a, "attn_output", l.build.hyper.width);
}

}  // namespace pronk::models
