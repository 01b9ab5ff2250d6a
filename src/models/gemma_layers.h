// What Gemma 3n and Gemma 4 share: a vector for each token and layer, and layers that attend to the keys and values of
// earlier ones (arXiv 2405.05254).
#pragma once

#include "models/gemma.h"

namespace pronk::models {

// A vector of `width` floats for each layer, from its own table and from the scaled embeddings x [tokens, model width]:
// [tokens, layers · width]
ValueId per_layer_inputs(Build& build, ValueId x, u32 width);
// RMS norm of proj(gelu(inp_gate x) ⊙ the layer's part of `inputs`); x [tokens, model width], and the result.
ValueId per_layer_output(Layer& layer, ValueId x, ValueId inputs);

// Normalized heads of q, k and v. The last attention.shared_kv_layers layers have no keys and values of their own: they
// see those of the last earlier layer of their kind, sliding or full.
class SharedAttention {
 public:
  // own: layers that have keys and values; period: of sliding layers, when the file has no pattern.
  SharedAttention(Build& build, u32 period, u32 own);

  // n [tokens, width] → [tokens, width]
  ValueId operator()(Layer& layer, ValueId n, const Heads& heads, RopeId rope);
  bool sliding(u32 layer) const { return sliding_[layer]; }

 private:
  StateId store(Layer& layer, ValueId n, const Heads& heads, RopeId rope, u32 window);

  std::vector<bool> sliding_;
  u32 window_, own_;
  StateId last_[2] = {StateId::none, StateId::none};  // of the full layers, of the sliding ones
};

}  // namespace pronk::models
