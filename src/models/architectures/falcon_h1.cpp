// Falcon-H1 (arXiv 2507.22448): attention and Mamba 2 side by side on one norm. Its multipliers are part of the weights
// of GGUF files; other sources have keys for them.
#include "models/decoder.h"
#include "models/recurrent.h"

namespace pronk::models {
namespace {

// Converters leave out ".weight" in the name of this one.
ValueId feed_forward_norm(Layer& l, ValueId x) {
  const std::string name = l.name(l.has("ffn_norm") ? "ffn_norm" : "ffn_norm.weight");
  return l.graph.rms_norm(x, l.build.vector(name, l.build.hyper.width), float(l.build.rms_eps()));
}

double factor(Build& b, const std::string& name) { return b.number_or("multiplier." + name, 1); }

ValueId times(Build& b, ValueId x, double factor) { return factor == 1 ? x : b.graph.scale(x, factor); }

ValueId mixer(Layer& l, ValueId n) {
  Mamba2Factors parts;
  for (u32 i = 0; i < parts.size(); ++i)
    parts[i] = factor(l.build, "ssm." + std::to_string(i)) * factor(l.build, "ssm_in");
  return times(l.build, scaled_mamba2(l, n, parts), factor(l.build, "ssm_out"));
}

// q, k and v are linear in n, and scores in k: so all factors but that of the result are one of the scores.
ValueId attention(Layer& l, ValueId n) {
  Build& b = l.build;
  const Heads heads = read_heads(b, l.index);
  const double in = factor(b, "attention_in");
  const ValueId a = self_attention(l, n,
                                   {.heads = heads,
                                    .rope = b.rope(RopePairs::halves, read_rotated(b, heads)),
                                    .scale = read_scale(b, heads) * in * in * factor(b, "key")});
  return times(b, a, in * factor(b, "attention_out"));
}

ValueId feed_forward(Layer& l, ValueId n) {
  Build& b = l.build;
  const u32 hidden = read_feed_forward(l);
  const ValueId gate = times(b, l.linear(n, "ffn_gate", hidden), factor(b, "mlp.0"));  // [tokens, hidden]
  const ValueId up = l.linear(n, "ffn_up", hidden);                                    // [tokens, hidden]
  const ValueId out = l.linear(b.graph.map(graph::Function::silu_gate, gate, up), "ffn_down", b.hyper.width);
  return times(b, out, factor(b, "mlp.1"));
}

void build(Build& b) {
  ValueId x = times(b, b.embed(), factor(b, "embedding"));  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const ValueId n = l.rms_norm(x, "attn_norm");
    x = b.graph.add(x, b.graph.add(attention(l, n), mixer(l, n)));
    x = b.graph.add(x, feed_forward(l, feed_forward_norm(l, x)));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, times(b, b.logits(x), factor(b, "logits")));
}

}  // namespace

extern const Architecture falcon_h1_architecture{"falcon-h1", build};

}  // namespace pronk::models
