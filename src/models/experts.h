// A feed-forward network of experts, of which each token uses a few (arXiv 1701.06538, 2401.06066).
#pragma once

#include <array>

#include "models/decoder.h"

namespace pronk::models {

struct Experts {
  u32 count = 0, used = 1;  // none when count is 0
  u32 hidden = 1;           // of each
  u32 shared_hidden = 0;    // of the one that serves all tokens; 0: there is none
  graph::Route::Gating gating = graph::Route::Gating::softmax;
  bool normalize = false;  // weights are divided by their sum
  double scale = 1;        // of the weights
  u32 groups = 1, groups_used = 1;
  graph::Function gate = graph::Function::silu_gate;
  std::array<float, 4> gate_parameters = {};
};
// From the keys expert_*; normalize: when the file does not say.
Experts read_experts(Build& build, bool normalize = true);

// Leaves out the last layers, which predict tokens further ahead (nextn_predict_layers; arXiv 2412.19437).
void skip_prediction_layers(Build& build);

// What follows takes n [tokens, width]; experts.count > 0 where it does not say otherwise.
// By ffn_gate_inp of n; exp_probs_b, when the file has it, counts for the choice only.
graph::Builder::Routed route(Layer& layer, ValueId n, const Experts& experts);
// Σ weight · down(gate(n) ⊙ up(n)) over the chosen experts: [tokens, width]
ValueId routed_experts(Layer& layer, ValueId n, const graph::Builder::Routed& routed, const Experts& experts);
// The experts and, when there is one, the shared one: [tokens, width]
ValueId expert_feed_forward(Layer& layer, ValueId n, const Experts& experts);
// That in layers that have a router, else a gated network of feed_forward_length: [tokens, width]. count may be 0.
ValueId dense_or_expert_feed_forward(Layer& layer, ValueId n, const Experts& experts);

}  // namespace pronk::models
