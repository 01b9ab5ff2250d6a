// BitNet b1.58 (arXiv 2402.17764): one more norm before each output matrix. Ternary weights come with their scale.
#include "models/decoder.h"

namespace pronk::models {
namespace {

// Old files keep the scale of a ternary matrix beside it.
void refuse_scales(Layer& l) {
  for (const char* stem : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
    const std::string name = std::string(stem) + ".scale";
    if (l.has(name)) l.build.fail("tensor '" + l.name(name) + "': scales beside their matrices are not supported");
  }
}

ValueId layer(Layer& l, ValueId x, graph::Function gate) {
  refuse_scales(l);
  const u32 width = l.build.hyper.width, hidden = read_feed_forward(l);
  const ValueId a = attend(l, l.rms_norm(x, "attn_norm"), read_attention(l, RopePairs::halves));
  x = l.graph.add(x, l.linear(l.rms_norm(a, "attn_sub_norm"), "attn_output", width));

  const ValueId n = l.rms_norm(x, "ffn_norm");  // [tokens, width]
  const ValueId f =
      l.graph.map(gate, l.linear(n, "ffn_gate", hidden), l.linear(n, "ffn_up", hidden));  // [tokens, hidden]
  return l.graph.add(x, l.linear(l.rms_norm(f, "ffn_sub_norm"), "ffn_down", width));
}

void build(Build& b) {
  build_decoder(b, [](Layer& l, ValueId x) { return layer(l, x, graph::Function::silu_gate); });
}

// BitNet b1.58 2B4T (arXiv 2504.12285)
void build_squared(Build& b) {
  build_decoder(b, [](Layer& l, ValueId x) { return layer(l, x, graph::Function::relu_squared_gate); });
}

}  // namespace

extern const Architecture bitnet_architecture[] = {{"bitnet", build}, {"bitnet-b1.58", build_squared}};

}  // namespace pronk::models
