// Command R and R+ (Cohere 2024). R+ has norms of q and k: its tensors tell.
#include "models/cohere.h"

namespace pronk::models {
namespace {

ValueId layer(Layer& l, ValueId x) { return cohere_layer(l, x, read_attention(l, RopePairs::adjacent)); }

void build(Build& b) { build_cohere(b, layer); }

}  // namespace

extern const Architecture command_r_architecture{"command-r", build};

}  // namespace pronk::models
