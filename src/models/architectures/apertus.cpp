// Apertus (arXiv 2509.14233): xIELU (arXiv 2411.13010) without a gate, its parameters in metadata; q and k normalized.
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

ValueId layer(Layer& l, ValueId x) {
  x = l.graph.add(x, self_attention(l, l.rms_norm(x, "attn_norm"), read_attention(l, RopePairs::halves)));
  return l.graph.add(
      x, feed_forward(l, l.rms_norm(x, "ffn_norm"), read_feed_forward(l), graph::Function::xielu, read_xielu(l)));
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture apertus_architecture{"apertus", build};

}  // namespace pronk::models
