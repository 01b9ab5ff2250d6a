// DeepSeek V2 and V3 (arXiv 2405.04434, 2412.19437): multi-head latent attention, and experts after the first layers.
#include <algorithm>
#include <cmath>

#include "models/experts.h"

namespace pronk::models {
namespace {

struct LatentAttention {
  u32 heads = 0;
  u32 unrotated = 0, rotated = 0;  // floats of a head's q: those that meet the latent, then those that RoPE rotates
  u32 value = 0;                   // floats a head
  u32 latent = 0;                  // floats of the latent that keys and values are made from
  u32 query_latent = 0;            // of the one that q is made from; 0: there is none
  RopeId rope = RopeId::none;
  double scale = 0;
};

LatentAttention read_latent_attention(Layer& l) {
  Build& b = l.build;
  LatentAttention a;
  a.heads = b.each_layer("attention.head_count")[l.index];
  a.rotated = b.count("rope.dimension_count");
  const u32 key = b.count("attention.key_length_mla");
  a.value = b.count("attention.value_length_mla");
  a.latent = b.count("attention.kv_lora_rank");
  a.query_latent = l.has("attn_q_a.weight") ? b.count("attention.q_lora_rank") : 0;
  const bool sized = a.heads > 0 && a.heads <= 4096 && key <= 1024 && a.value <= 1024 && a.query_latent <= 1 << 16;
  const bool units = a.latent % 4 == 0 && a.rotated % 4 == 0;
  if (!sized || !units || a.rotated >= key || a.latent + a.rotated > 1024) {  // a key of the cache holds both
    b.fail("the sizes of latent attention (attention.*_mla, attention.*_lora_rank) are not supported");
    return {.heads = 1, .unrotated = 4, .rotated = 4, .value = 4, .latent = 4, .rope = b.rope(RopePairs::adjacent, 4)};
  }
  a.unrotated = key - a.rotated;
  // YaRN's magnitude scales q · k, of rotated columns and others, instead of the table.
  const double multiplier = b.number_or("rope.scaling.yarn_log_multiplier", 0);
  const double magnitude = 1 + multiplier * std::log(std::max(1.0, b.number_or("rope.scaling.factor", 1)));
  a.rope = b.rope(RopePairs::adjacent, a.rotated, {.magnitude = multiplier == 0});
  a.scale = magnitude * magnitude / std::sqrt(double(key));
  return a;
}

// The cache holds the latent and one rotated part of the key for all heads. attn_k_b takes q to the latent instead of
// the latent to keys, and attn_v_b is applied to what attention makes of the latent.
ValueId attention(Layer& l, ValueId n, const LatentAttention& a) {
  auto& g = l.graph;
  const u32 head = a.unrotated + a.rotated, key = a.latent + a.rotated;
  ValueId q = a.query_latent > 0 ? l.linear(l.rms_norm(l.linear(n, "attn_q_a", a.query_latent), "attn_q_a_norm"),
                                            "attn_q_b", a.heads * head)
                                 : l.linear(n, "attn_q", a.heads * head);  // [tokens, heads · head]
  const ValueId q_rotated = g.rope(g.take_columns(q, head, a.unrotated, a.rotated), a.rope, a.rotated);
  const ValueId q_latent =  // [tokens, heads · latent]
      g.matmul_chosen(g.take_columns(q, head, 0, a.unrotated),
                      l.build.matrices(l.name("attn_k_b.weight"), a.heads, a.latent, a.unrotated), WeightId::none,
                      ValueId::none, a.heads, a.latent);
  q = g.join_columns(q_latent, a.latent, q_rotated, a.rotated);  // [tokens, heads · key]

  const ValueId kv = l.linear(n, "attn_kv_a_mqa", key);                                     // [tokens, key]
  const ValueId latent = l.rms_norm(g.columns(kv, 0, a.latent), "attn_kv_a_norm");          // [tokens, latent]
  const ValueId k_rotated = g.rope(g.columns(kv, a.latent, a.rotated), a.rope, a.rotated);  // [tokens, rotated]
  const StateId state =
      g.state(graph::KvState{.heads = 1, .key_width = key, .value_width = a.latent, .values_in_keys = true});
  g.store_kv(state, g.join_columns(latent, a.latent, k_rotated, a.rotated), ValueId::none);
  const ValueId mixed = g.attention({.state = state, .q = q, .heads = a.heads, .scale = float(a.scale)});
  const ValueId values =  // [tokens, heads · value]
      g.matmul_chosen(mixed, l.build.matrices(l.name("attn_v_b.weight"), a.heads, a.value, a.latent), WeightId::none,
                      ValueId::none, a.heads, a.value);
  return l.linear(values, "attn_output", l.build.hyper.width);
}

ValueId layer(Layer& l, ValueId x) {
  Experts experts = read_experts(l.build, false);
  // Older files do not say so: experts with a bias for the choice were trained with sigmoids.
  if (!l.build.has_key("expert_gating_func") && l.has("exp_probs_b.bias")) {
    experts.gating = graph::Route::Gating::sigmoid;
  }
  x = l.graph.add(x, attention(l, l.rms_norm(x, "attn_norm"), read_latent_attention(l)));
  return l.graph.add(x, dense_or_expert_feed_forward(l, l.rms_norm(x, "ffn_norm"), experts));
}

void build(Build& b) {
  if (b.number_or("attention.temperature_scale", 0) != 0)
    b.fail("scaling queries by position (attention.temperature_scale) is not supported with latent attention");
  skip_prediction_layers(b);
  build_decoder(b, layer);
}

}  // namespace

extern const Architecture deepseek2_architecture{"deepseek2", build};

}  // namespace pronk::models
