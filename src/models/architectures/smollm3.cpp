// SmolLM3 (Hugging Face 2025): each fourth layer does without rotation, "NoPE" (arXiv 2501.18795).
#include "models/decoder.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) {
  constexpr std::string_view key = "rope.rotated_layers";  // which GGUF files do not have
  const bool rotates = l.build.has_key(key) ? l.build.each_layer(key)[l.index] != 0 : l.index % 4 != 3;
  return pre_norm_layer(l, x, rotates ? read_attention(l, RopePairs::adjacent) : read_unrotated_attention(l));
}

void build(Build& b) { build_decoder(b, layer); }

}  // namespace

extern const Architecture smollm3_architecture{"smollm3", build};

}  // namespace pronk::models
