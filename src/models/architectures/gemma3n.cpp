// Gemma 3n: four residual streams of which a layer works on one and predicts the others (AltUp, arXiv 2301.13310), a
// low-rank path beside attention (LAuReL, arXiv 2411.07501), sparse activations, and a vector for each token and layer.
#include <algorithm>
#include <cmath>

#include "models/gemma_layers.h"

namespace pronk::models {
namespace {

using graph::Function;

using Streams = std::vector<ValueId>;  // each [tokens, width]

// x with the root mean square of `like`.
ValueId match_magnitude(Build& b, ValueId x, ValueId like) {
  auto& g = b.graph;
  const u32 width = g.width(x);
  constexpr float tiny = 1e-12f;
  const ValueId unit = g.norm({.x = like, .group = width, .eps = tiny, .scale = 1.0f / float(width)});
  const ValueId magnitude = g.weighted_sum(like, unit);  // Σ x² / (width · rms): [tokens, 1]
  return g.map(Function::multiply, g.norm({.x = x, .group = width, .eps = tiny}), magnitude);
}

// Stream i of `stem`, one matrix for each stream but the first.
ValueId project_stream(Build& b, ValueId x, const std::string& stem, u32 i, u32 streams) {
  return b.linear_rows(x, stem, (i - 1) * b.hyper.width, b.hyper.width, (streams - 1) * b.hyper.width);
}

Streams open_streams(Build& b, ValueId x, u32 count) {
  Streams streams{x};
  for (u32 i = 1; i < count; ++i) {
    streams.push_back(match_magnitude(b, project_stream(b, x, "altup_proj", i, count), x));
  }
  return streams;
}

// Their mean: [tokens, width]
ValueId close_streams(Build& b, const Streams& streams) {
  ValueId sum = streams[0];
  for (u32 i = 1; i < streams.size(); ++i) {
    const ValueId projected = project_stream(b, streams[i], "altup_unembd_proj", i, u32(streams.size()));
    sum = b.graph.add(sum, match_magnitude(b, projected, streams[0]));
  }
  return b.graph.scale(sum, 1.0 / double(streams.size()));
}

// [tokens, streams], from −1 to 1
ValueId modalities(Layer& l, ValueId x, u32 streams) {
  const ValueId n = l.graph.scale(l.rms_norm(x, "altup_router_norm"), 1.0 / l.build.hyper.width);
  return l.graph.map(Function::soft_cap, l.linear(n, "altup_router", streams), {1});  // tanh
}

// Each stream plus a mixture of all.
Streams predict(Layer& l, const Streams& streams, u32 active) {
  auto& g = l.graph;
  const u32 count = u32(streams.size()), width = g.width(streams[0]);
  const ValueId coefficients =  // [tokens, streams · streams]
      l.linear(modalities(l, streams[active], count), "altup_predict_coef", count * count);
  ValueId all = streams[0];  // [tokens, streams · width]
  for (u32 i = 1; i < count; ++i) all = g.join_columns(all, i * width, streams[i], width);
  Streams predictions;
  for (u32 i = 0; i < count; ++i) {
    const ValueId mixture = g.weighted_sum(all, g.columns(coefficients, i * count, count));
    predictions.push_back(g.add(streams[i], mixture));
  }
  return predictions;
}

// Each prediction plus a share of what the layer made of the active one beyond its prediction.
Streams correct(Layer& l, const Streams& predictions, ValueId activated, u32 active) {
  auto& g = l.graph;
  const u32 count = u32(predictions.size());
  const ValueId innovation = g.map(Function::add_scaled, activated, predictions[active], {-1});  // [tokens, width]
  const ValueId coefficients =  // [tokens, streams], around 1
      g.map(Function::scale, l.linear(modalities(l, activated, count), "altup_correct_coef", count), {1, 1});
  Streams corrected;
  for (u32 i = 0; i < count; ++i) {
    const ValueId share = g.map(Function::multiply, innovation, g.columns(coefficients, i, 1));
    corrected.push_back(g.add(predictions[i], share));
  }
  return corrected;
}

// n [tokens, width] → [tokens, width]
ValueId laurel(Layer& l, ValueId n) {
  const u32 rank = u32(std::clamp<u64>(l.build.rows_of(l.name("laurel_l.weight")), 1, 1 << 16));
  const ValueId low = l.linear(n, "laurel_l", rank);  // [tokens, rank]
  return l.graph.add(n, l.rms_norm(l.linear(low, "laurel_r", l.build.hyper.width), "laurel_post_norm"));
}

// deviations: how far above the mean an activation must lie to count; −∞: all do.
ValueId feed_forward(Layer& l, ValueId n, double deviations) {
  auto& g = l.graph;
  const u32 hidden = read_feed_forward(l);
  ValueId gate = l.linear(n, "ffn_gate", hidden);  // [tokens, hidden]
  if (std::isfinite(deviations)) gate = g.keep_largest(gate, float(deviations));
  const ValueId up = l.linear(n, "ffn_up", hidden);  // [tokens, hidden]
  return l.linear(g.map(Function::gelu_tanh_gate, gate, up), "ffn_down", l.build.hyper.width);
}

// Attention, the low-rank path and the feed-forward network on one stream. x [tokens, width] → [tokens, width]
ValueId work(Layer& l, ValueId x, SharedAttention& attention, double deviations) {
  auto& g = l.graph;
  Build& b = l.build;
  const Heads heads = read_heads(b, l.index);
  const RopeId rope =
      attention.sliding(l.index)
          ? b.rope(RopePairs::halves, heads.key, {.base_key = "rope.freq_base_swa", .scaled = false, .factors = false})
          : b.rope(RopePairs::halves, heads.key);
  const ValueId n = l.rms_norm(x, "attn_norm");
  const ValueId attended = g.add(x, l.rms_norm(attention(l, n, heads, rope), "post_attention_norm"));
  x = g.scale(g.add(attended, laurel(l, n)), 1 / std::sqrt(2.0));
  return g.add(x, l.rms_norm(feed_forward(l, l.rms_norm(x, "ffn_norm"), deviations), "post_ffw_norm"));
}

void build(Build& b) {
  auto& g = b.graph;
  const auto deviations = b.each_layer_number_or("activation_sparsity_scale", -INFINITY);
  const u32 streams = std::min(b.count_or("altup.num_inputs", 4), 16u);
  const u32 active = std::min(b.whole_or("altup.active_idx", 0), streams - 1);
  const u32 layers = b.hyper.layers;
  // The published models share from layer 20 on; older files do not say so.
  const u32 shared = std::min(b.whole_or("attention.shared_kv_layers", layers > 20 ? layers - 20 : 0), layers);
  SharedAttention attention(b, 5, layers - shared);

  const ValueId x = gemma_embed(b);  // [tokens, width]
  const ValueId inputs = per_layer_inputs(b, x, b.count_or("embedding_length_per_layer_input", 256));
  Streams all = open_streams(b, x, streams);
  for (u32 il = 0; il < layers && b.ok(); ++il) {
    Layer l(b, il);
    const Streams predictions = predict(l, all, active);
    const ValueId activated = work(l, predictions[active], attention, deviations[il]);
    all = correct(l, predictions, activated, active);
    const WeightId scale = b.vector(l.name("altup_correct_scale.weight"), b.hyper.width);
    const ValueId more = per_layer_output(l, g.map(Function::multiply, all[active], scale), inputs);
    for (u32 i = 1; i < streams; ++i) all[i] = g.add(all[i], more);
  }
  const ValueId out = b.rms_norm(close_streams(b, all), "output_norm");
  b.finish(out, gemma_logits(b, out, 0));
}

}  // namespace

extern const Architecture gemma3n_architecture{"gemma3n", build};

}  // namespace pronk::models
