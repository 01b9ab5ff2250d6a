// Qwen3-Next and Qwen3.5 (arXiv 2412.06464, 2505.06708): three of four layers are gated delta nets, the others
// attention whose output is gated; feed-forward networks are dense, or experts with a gated one that all tokens use.
#include "models/experts.h"
#include "models/recurrent.h"

namespace pronk::models {
namespace {

// attn_q makes query and gate of each head.
ValueId gated_attention(Layer& l, ValueId n) {
  graph::Builder& g = l.graph;
  Heads h = read_heads(l.build, l.index);
  if (h.value != h.key) l.build.fail("attention.value_length differs from attention.key_length, its gate's width");
  h.value = h.key;
  const RopeId rope = l.build.rope(RopePairs::halves, read_rotated(l.build, h));
  const auto head_norm = [&](ValueId x, std::string_view tensor) {
    return g.rms_norm(x, l.build.vector(l.name(tensor), h.key), float(l.build.rms_eps()));
  };

  const ValueId qg = l.linear(n, "attn_q", 2 * h.query * h.key);     // [tokens, heads · (query | gate)]
  ValueId q = g.take_columns(qg, 2 * h.key, 0, h.key);               // [tokens, heads · key]
  const ValueId gate = g.take_columns(qg, 2 * h.key, h.key, h.key);  // the same
  ValueId k = l.linear(n, "attn_k", h.kv * h.key);                   // [tokens, kv heads · key]
  const ValueId v = l.linear(n, "attn_v", h.kv * h.value);           // [tokens, kv heads · value]
  q = g.rope(head_norm(q, "attn_q_norm.weight"), rope, h.key);
  k = g.rope(head_norm(k, "attn_k_norm.weight"), rope, h.key);
  const StateId state = g.state(graph::KvState{.heads = h.kv, .key_width = h.key, .value_width = h.value});
  g.store_kv(state, k, v);
  const ValueId a = g.attention({.state = state, .q = q, .heads = h.query, .scale = float(read_scale(l.build, h))});
  return l.linear(g.map(graph::Function::sigmoid_gate, a, gate), "attn_output", l.build.hyper.width);
}

void build(Build& b) {
  skip_prediction_layers(b);
  const Experts experts = read_experts(b, true);
  ValueId x = b.embed();  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const ValueId n = l.rms_norm(x, "attn_norm");
    x = b.graph.add(x, l.has("ssm_conv1d.weight") ? gated_delta_net(l, n) : gated_attention(l, n));
    x = b.graph.add(x, dense_or_expert_feed_forward(l, l.rms_norm(x, "post_attention_norm"), experts));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, b.logits(x));
}

}  // namespace

extern const Architecture qwen35_architecture[] = {{"qwen35", build}, {"qwen35moe", build}, {"qwen3next", build}};

}  // namespace pronk::models
