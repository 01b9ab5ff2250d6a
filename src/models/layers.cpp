// What most layers are made of.
#include <algorithm>
#include <cmath>

#include "models/build.h"

namespace pronk::models {
namespace {

constexpr u32 widest_head = 1024, most_heads = 1 << 16;

// Three projections of n, or columns of one.
struct Projections {
  ValueId q, k, v;
};

Projections project(Layer& layer, ValueId n, const Heads& h) {
  const u32 q = h.query * h.key, k = h.kv * h.key, v = h.kv * h.value;
  if (!layer.has("attn_qkv.weight")) {
    return {layer.linear(n, "attn_q", q), layer.linear(n, "attn_k", k), layer.linear(n, "attn_v", v)};
  }
  const std::string stem = layer.name("attn_qkv");
  if (layer.has("attn_qkv.bias")) {
    const ValueId qkv = layer.linear(n, "attn_qkv", q + k + v);
    return {layer.graph.columns(qkv, 0, q), layer.graph.columns(qkv, q, k), layer.graph.columns(qkv, q + k, v)};
  }
  Build& b = layer.build;
  return {b.linear_rows(n, stem, 0, q, q + k + v), b.linear_rows(n, stem, q, k, q + k + v),
          b.linear_rows(n, stem, q + k, v, q + k + v)};
}

// attn_q_norm or attn_k_norm, where the file has it.
ValueId head_norm(Layer& layer, ValueId x, std::string_view stem, u32 head, graph::Norm::Kind kind) {
  const std::string name = layer.name(stem);
  const u64 count = layer.build.weights_of(name + ".weight");
  if (count == 0) return x;
  const bool rms = kind == graph::Norm::Kind::rms;
  const bool rows = rms && count != head;  // RMS norms of heads share one weight; layer norms have one each
  const u32 width = count == head ? head : layer.graph.width(x);
  return layer.graph.norm({.kind = kind,
                           .x = x,
                           .weight = layer.build.vector(name + ".weight", width),
                           .bias = layer.build.optional_vector(name + ".bias", width),
                           .group = rows ? width : head,
                           .eps = float(rms ? layer.build.rms_eps() : layer.build.layer_eps())});
}

}  // namespace

Heads read_heads(Build& b, u32 layer) {
  Heads h;
  h.query = b.each_layer("attention.head_count")[layer];
  h.kv = b.each_layer_or("attention.head_count_kv", h.query)[layer];
  if (h.query == 0 || h.query > most_heads) {
    b.fail("metadata key 'attention.head_count' is out of range", ErrorCode::unspecified);
    h.query = h.kv = 1;
  }
  if (h.kv == 0 || h.query % h.kv != 0) {
    b.fail("attention.head_count " + std::to_string(h.query) + " is not a multiple of head_count_kv " +
               std::to_string(h.kv),
           ErrorCode::unspecified);
    h.kv = h.query;
  }
  h.key = b.whole_or("attention.key_length", b.hyper.width / h.query);
  h.value = b.whole_or("attention.value_length", h.key);
  for (u32* width : {&h.key, &h.value}) {
    if (*width >= 4 && *width <= widest_head && *width % 4 == 0) continue;
    b.fail("attention head size " + std::to_string(*width) + " is not a multiple of 4 between 4 and " +
           std::to_string(widest_head) + ": not supported");
    *width = 4;
  }
  return h;
}

u32 read_rotated(Build& b, const Heads& heads) {
  const u32 rotated = b.whole_or("rope.dimension_count", heads.key);
  if (rotated > 0 && rotated <= heads.key && rotated % 2 == 0) return rotated;
  b.fail("metadata key 'rope.dimension_count' is " + std::to_string(rotated) +
             ": not an even number up to the head size " + std::to_string(heads.key),
         ErrorCode::unspecified);
  return 2;
}

double read_scale(Build& b, const Heads& heads) {
  const double scale = b.number_or("attention.scale", 0);
  return scale != 0 ? scale : 1 / std::sqrt(double(heads.key));
}

ValueId attend(Layer& layer, ValueId n, const SelfAttention& a) {
  graph::Builder& g = layer.graph;
  const Heads& h = a.heads;
  auto [q, k, v] = project(layer, n, h);  // [tokens, query · key], [tokens, kv · key], [tokens, kv · value]
  for (ValueId* x : {&q, &k, &v}) {
    if (a.clamp > 0) *x = g.map(graph::Function::clamp, *x, {float(-a.clamp), float(a.clamp)});
  }
  const auto norm = [&] {
    q = head_norm(layer, q, "attn_q_norm", h.key, a.norm);
    k = head_norm(layer, k, "attn_k_norm", h.key, a.norm);
  };
  if (!a.norm_after_rope) norm();
  if (a.rope != RopeId::none) {
    q = g.rope(q, a.rope, h.key);
    k = g.rope(k, a.rope, h.key);
  }
  if (a.norm_after_rope) norm();
  if (a.position_scale != 0) q = g.position_scale(q, float(a.position_scale), a.position_interval);
  const u32 kept = a.causal ? a.window : 0;  // else every token looks both ways from anywhere in the run
  const StateId state =
      g.state(graph::KvState{.heads = h.kv, .key_width = h.key, .value_width = h.value, .window = kept});
  g.store_kv(state, k, v);
  return g.attention({.state = state,
                      .q = q,
                      .sinks = layer.build.optional_vector(layer.name("attn_sinks.weight"), h.query),
                      .heads = h.query,
                      .scale = float(a.scale != 0 ? a.scale : 1 / std::sqrt(double(h.key))),
                      .soft_cap = float(a.soft_cap),
                      .window = a.window,
                      .causal = a.causal});
}

ValueId self_attention(Layer& layer, ValueId n, const SelfAttention& a) {
  return layer.linear(attend(layer, n, a), "attn_output", layer.build.hyper.width);
}

ValueId gated_feed_forward(Layer& layer, ValueId n, u32 hidden, graph::Function gate) {
  ValueId g, u;  // [tokens, hidden]
  if (layer.has("ffn_gate.weight")) {
    g = layer.linear(n, "ffn_gate", hidden);
    u = layer.linear(n, "ffn_up", hidden);
  } else {
    g = layer.build.linear_rows(n, layer.name("ffn_up"), 0, hidden, 2 * hidden);
    u = layer.build.linear_rows(n, layer.name("ffn_up"), hidden, hidden, 2 * hidden);
  }
  return layer.linear(layer.graph.map(gate, g, u), "ffn_down", layer.build.hyper.width);
}

ValueId feed_forward(Layer& layer, ValueId n, u32 hidden, graph::Function function, std::array<float, 4> p) {
  const ValueId up = layer.linear(n, "ffn_up", hidden);  // [tokens, hidden]
  return layer.linear(layer.graph.map(function, up, p), "ffn_down", layer.build.hyper.width);
}

}  // namespace pronk::models
