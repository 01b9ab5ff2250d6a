// Apertus (arXiv 2509.14233): xIELU (arXiv 2411.13010) without a gate, its parameters in metadata or, as they were
// trained, in a tensor; q and k normalized.
#include <cmath>

#include "models/decoder.h"

namespace pronk::models {
namespace {

// The layer's parameters of Function::xielu. Their keys have no architecture before them.
std::array<float, 4> read_xielu(Layer& l) {
  const auto read = [&](const char* key) { return l.build.each_layer_number_at(key)[l.index]; };
  const auto softplus = [](double x) { return x > 20 ? x : std::log1p(std::exp(x)); };
  const double beta = read("xielu.beta");
  return {float(softplus(read("xielu.alpha_p"))), float(beta + softplus(read("xielu.alpha_n"))), float(beta),
          float(read("xielu.eps"))};
}

ValueId activate(Layer& l, ValueId x) {
  const std::string learned = l.name("ffn_xielu.weight");
  if (l.build.rows_of(learned) == 0) return l.graph.map(graph::Function::xielu, x, read_xielu(l));
  return l.graph.map(graph::Function::learned_xielu, x, l.build.vector(learned, 4));
}

ValueId layer(Layer& l, ValueId x) {
  x = l.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), read_attention(l, RopePairs::halves)));
  const ValueId up = l.linear(l.rms_norm(x, "ffn_norm"), "ffn_up", read_feed_forward(l));
  return l.graph.add(x, l.linear(activate(l, up), "ffn_down", l.build.hyper.width));
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture apertus_architecture{"apertus", build};

}  // namespace pronk::models
