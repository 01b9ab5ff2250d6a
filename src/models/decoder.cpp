#include "models/decoder.h"

namespace pronk::models {

SelfAttention read_unrotated_attention(Layer& l) {
  const Heads heads = read_heads(l.build, l.index);
  return {
      .heads = heads, .scale = read_scale(l.build, heads), .window = l.build.whole_or("attention.window_of_all", 0)};
}

SelfAttention read_attention(Layer& l, RopePairs pairs, const Build::RopeOptions& rope) {
  SelfAttention attention = read_unrotated_attention(l);
  attention.rope = l.build.rope(pairs, read_rotated(l.build, attention.heads), rope);
  return attention;
}

u32 read_feed_forward(Layer& l) {
  const u32 hidden = l.build.each_layer("feed_forward_length")[l.index];
  if (hidden > 0) return hidden;
  l.build.fail("feed_forward_length of layer " + std::to_string(l.index) + " is 0", ErrorCode::unspecified);
  return 1;
}

ValueId pre_norm_layer(Layer& l, ValueId x, const SelfAttention& attention) {
  x = l.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), attention));
  return l.graph.add(x, gated_feed_forward(l, l.rms_norm(x, "ffn_norm"), read_feed_forward(l)));
}

ValueId post_norm_layer(Layer& l, ValueId x, const SelfAttention& attention) {
  x = l.graph.add(x, l.rms_norm(self_attention(l, x, attention), "post_attention_norm"));
  return l.graph.add(x, l.rms_norm(gated_feed_forward(l, x, read_feed_forward(l)), "post_ffw_norm"));
}

ValueId sandwich_norm_layer(Layer& l, ValueId x, const SelfAttention& attention, graph::Function gate) {
  const ValueId a = self_attention(l, l.rms_norm(x, "attn_norm"), attention);
  x = l.graph.add(x, l.rms_norm(a, "post_attention_norm"));
  const ValueId f = gated_feed_forward(l, l.rms_norm(x, "ffn_norm"), read_feed_forward(l), gate);
  return l.graph.add(x, l.rms_norm(f, "post_ffw_norm"));
}

ValueId layer_norm_layer(Layer& l, ValueId x, const SelfAttention& attention, graph::Function function) {
  x = l.graph.add(x, self_attention(l, l.layer_norm(x, "attn_norm"), attention));
  return l.graph.add(x, feed_forward(l, l.layer_norm(x, "ffn_norm"), read_feed_forward(l), function));
}

ValueId all_layers(Build& b, ValueId x, LayerFunction layer) {
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    x = layer(l, x);
  }
  return x;
}

void build_decoder(Build& b, LayerFunction layer) {
  const ValueId hidden = b.rms_norm(all_layers(b, b.embed(), layer), "output_norm");
  b.finish(hidden, b.logits(hidden));
}

void build_layer_norm_decoder(Build& b, LayerFunction layer) {
  const ValueId hidden = b.layer_norm(all_layers(b, b.embed(), layer), "output_norm");
  b.finish(hidden, b.logits(hidden));
}

}  // namespace pronk::models
