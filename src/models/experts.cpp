#include "models/experts.h"

namespace pronk::models {
namespace {

using graph::Function, graph::Route;

// expert_gating_func
Route::Gating read_gating(Build& build) {
  switch (build.whole_or("expert_gating_func", 0)) {
    case 0:
    case 1:
      return Route::Gating::softmax;
    case 2:
      return Route::Gating::sigmoid;
    case 3:
      return Route::Gating::softmax_after;
    default:
      build.fail("the experts' gating function (expert_gating_func) is not supported");
      return Route::Gating::softmax;
  }
}

// x [tokens, cols], or [tokens, used · cols] with columns for each expert → [tokens, used · rows]
ValueId project(Layer& layer, ValueId x, const std::string& stem, ValueId chosen, const Experts& e, u32 rows,
                u32 cols) {
  return layer.graph.matmul_chosen(x, layer.build.matrices(stem + ".weight", e.count, rows, cols),
                                   layer.build.optional_vector(stem + ".bias", e.count * rows), chosen, e.used, rows);
}

// Times σ(ffn_gate_inp_shexp · n), when the file has that.
ValueId shared_expert(Layer& layer, ValueId n, const Experts& e) {
  auto& g = layer.graph;
  const ValueId gate = layer.linear(n, "ffn_gate_shexp", e.shared_hidden);  // [tokens, hidden]
  const ValueId up = layer.linear(n, "ffn_up_shexp", e.shared_hidden);      // [tokens, hidden]
  const ValueId hidden = g.map(e.gate, gate, up, e.gate_parameters);        // [tokens, hidden]
  const ValueId out = layer.linear(hidden, "ffn_down_shexp", g.width(n));   // [tokens, width]
  if (!layer.has("ffn_gate_inp_shexp.weight")) return out;
  return g.map(Function::sigmoid_gate, out, layer.linear(n, "ffn_gate_inp_shexp", 1));
}

}  // namespace

Experts read_experts(Build& build, bool normalize) {
  Experts e;
  e.count = build.whole_or("expert_count", 0);
  if (e.count == 0) return e;
  e.used = build.count("expert_used_count");
  e.hidden =
      build.count(build.has_key("expert_feed_forward_length") ? "expert_feed_forward_length" : "feed_forward_length");
  const u64 shared = build.whole_or("expert_shared_feed_forward_length", 0)
                         ?: u64(build.whole_or("expert_shared_count", 0)) * e.hidden;
  e.gating = read_gating(build);
  e.normalize = build.flag_or("expert_weights_norm", normalize);
  e.scale = build.number_or("expert_weights_scale", 1);
  if (e.scale == 0) e.scale = 1;
  e.groups = build.whole_or("expert_group_count", 0) ?: 1;
  e.groups_used = build.whole_or("expert_group_used_count", 0) ?: e.groups;
  const bool sized =
      e.count <= graph::most_experts && u64(e.count) * 2 * e.hidden <= graph::max_width && shared <= graph::max_width;
  const bool grouped = e.count % e.groups == 0 && e.groups_used <= e.groups;
  if (sized && grouped && e.used <= e.count / e.groups * e.groups_used) {
    e.shared_hidden = u32(shared);
    return e;
  }
  build.fail("the numbers of experts (expert_*) are out of range", ErrorCode::unspecified);
  return {.count = 1, .used = 1, .hidden = 1};
}

void skip_prediction_layers(Build& build) {
  const u32 ahead = build.whole_or("nextn_predict_layers", 0);
  if (ahead < build.hyper.layers) {
    build.hyper.layers -= ahead;
  } else {
    build.fail("nextn_predict_layers is not below block_count", ErrorCode::unspecified);
  }
}

graph::Builder::Routed route(Layer& layer, ValueId n, const Experts& e) {
  if (e.count == 0) layer.build.fail("metadata key 'expert_count' is missing", ErrorCode::unspecified);
  const WeightId bias = layer.build.optional_vector(layer.name("exp_probs_b.bias"), e.count);
  return layer.graph.route(
      {.gating = e.gating,
       .logits = layer.linear(n, "ffn_gate_inp", e.count),  // [tokens, count]
       .bias = bias,
       .expert_scale = layer.build.optional_vector(layer.name("ffn_down_exps.scale"), e.count),
       .used = e.used,
       .groups = e.groups,
       .groups_used = e.groups_used,
       .by_best = bias == WeightId::none,  // DeepSeek-V2 (arXiv 2405.04434), before there were biases
       .normalize = e.normalize,
       .scale = float(e.scale)});
}

ValueId routed_experts(Layer& layer, ValueId n, const graph::Builder::Routed& routed, const Experts& e) {
  auto& g = layer.graph;
  const u32 width = g.width(n);
  ValueId gate, up;  // [tokens, used · hidden]
  if (layer.has("ffn_gate_up_exps.weight")) {
    const ValueId both = project(layer, n, layer.name("ffn_gate_up_exps"), routed.chosen, e, 2 * e.hidden, width);
    gate = g.take_columns(both, 2 * e.hidden, 0, e.hidden);
    up = g.take_columns(both, 2 * e.hidden, e.hidden, e.hidden);
  } else {
    gate = project(layer, n, layer.name("ffn_gate_exps"), routed.chosen, e, e.hidden, width);
    up = project(layer, n, layer.name("ffn_up_exps"), routed.chosen, e, e.hidden, width);
  }
  const ValueId hidden = g.map(e.gate, gate, up, e.gate_parameters);
  // [tokens, used · width]
  const ValueId down = project(layer, hidden, layer.name("ffn_down_exps"), routed.chosen, e, width, e.hidden);
  return g.weighted_sum(down, routed.weights);
}

ValueId expert_feed_forward(Layer& layer, ValueId n, const Experts& e) {
  const ValueId out = routed_experts(layer, n, route(layer, n, e), e);
  return e.shared_hidden == 0 ? out : layer.graph.add(out, shared_expert(layer, n, e));
}

ValueId dense_or_expert_feed_forward(Layer& layer, ValueId n, const Experts& e) {
  if (layer.has("ffn_gate_inp.weight")) return expert_feed_forward(layer, n, e);
  return gated_feed_forward(layer, n, read_feed_forward(layer));
}

}  // namespace pronk::models
