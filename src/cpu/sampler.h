// The definition of sampling, which the GPU's kernels follow step by step.
//
// Greedy (graph::is_greedy): the largest logit, the lowest id on ties. Else, with z = logit · (1 / temperature):
//   top-k  keeps logits of at least the k-th largest (ties are kept);
//   top-p  gives each token that top-k kept the weight w = ⌊exp(z − z_max) / Z · 2³⁰⌋, Z = Σ exp(z − z_max) over the
//          whole vocabulary; walking down from the largest, the nucleus ends where float(Σ w) reaches
//          top_p · float(Σ w of all that top-k kept); logits of at least its last are kept. Integer weights make
//          the sum the same in any order;
//   min-p  keeps z of at least z_max + ln(min_p);
// the largest logit is always kept. The token is the arg max of z + g over what is kept, lowest id on ties, with
// g = gumbel(seed, step, token): a draw from softmax(z) (the Gumbel-max trick, arXiv 1411.0030).
// A logit that is NaN counts as −∞; when all are, the token is 0.
#pragma once

#include <span>
#include <vector>

#include "base/types.h"
#include "graph/sampling.h"

namespace pronk::cpu {

// The integer hash lowbias32 (Chris Wellons, "Prospecting for Hash Functions").
constexpr u32 mix(u32 x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  return x;
}

// A standard Gumbel variate that depends on nothing but its arguments.
float gumbel(u64 seed, u32 step, u32 token);

class Sampler {
 public:
  explicit Sampler(u32 vocabulary) { sorted_.reserve(vocabulary); }

  // `step` tells the tokens of one text apart. Allocates nothing for logits of at most `vocabulary` tokens; logits are
  // not empty.
  u32 sample(std::span<const float> logits, const graph::SamplingParams& params, u32 step);

 private:
  std::vector<float> sorted_;
};

// The same with memory of its own.
u32 sample(std::span<const float> logits, const graph::SamplingParams& params, u32 step);

}  // namespace pronk::cpu
