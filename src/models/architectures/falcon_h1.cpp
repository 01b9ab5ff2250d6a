// Falcon-H1 (arXiv 2507.22448): attention and Mamba 2 side by side on one norm. Its multipliers are part of the
// weights.
#include "models/decoder.h"
#include "models/recurrent.h"

namespace pronk::models {
namespace {

// Converters leave out ".weight" in the name of this one.
ValueId feed_forward_norm(Layer& l, ValueId x) {
  const std::string name = l.name(l.has("ffn_norm") ? "ffn_norm" : "ffn_norm.weight");
  return l.graph.rms_norm(x, l.build.vector(name, l.build.hyper.width), float(l.build.rms_eps()));
}

void build(Build& b) {
  ValueId x = b.embed();  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const Heads heads = read_heads(b, il);
    const RopeId rope = b.rope(RopePairs::halves, read_rotated(b, heads));
    const ValueId n = l.rms_norm(x, "attn_norm");
    const ValueId attended = self_attention(l, n, {.heads = heads, .rope = rope, .scale = read_scale(b, heads)});
    x = b.graph.add(x, b.graph.add(attended, mamba2(l, n)));
    x = b.graph.add(x, gated_feed_forward(l, feed_forward_norm(l, x), read_feed_forward(l)));
  }
  x = b.rms_norm(x, "output_norm");
  b.finish(x, b.logits(x));
}

}  // namespace

extern const Architecture falcon_h1_architecture{"falcon-h1", build};

}  // namespace pronk::models
