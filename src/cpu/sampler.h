// The definition of sampling, which the GPU's kernels follow step by step.
//
// Greedy (graph::is_greedy): the largest logit, the lowest id on ties. Else, with d = (logit − largest) · (1 /
// temperature):
//   top-k  keeps logits of at least the k-th largest (ties are kept);
//   top-p  gives each token that top-k kept the weight w = ⌊exp(d) / Z · 2³⁰⌋, Z = Σ exp(d) over the whole vocabulary.
//          With W = 2³⁰ when top-k is off, else Σ w of all that it kept: walking down from the largest, the nucleus
//          ends where Σ w reaches max(1, ⌊top_p · float(W)⌋), and logits of at least its last are kept; should it never
//          reach, all are. Integer weights make the sum the same in any order;
//   min-p  keeps d of at least ln(min_p).
// The token is the arg max of d + g over what is kept, lowest id on ties, with g = gumbel(seed, step, token): a draw
// from softmax(d) (the Gumbel-max trick, arXiv 1411.0030). Logits above 3e38 count as 3e38; those not above −3e38 are
// never drawn. When all are such, or one is NaN, there is no token: the computation before was broken.
#pragma once

#include <optional>
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
  std::optional<u32> sample(std::span<const float> logits, const graph::SamplingParams& params, u32 step);

 private:
  std::vector<float> sorted_;
};

// The same with memory of its own.
std::optional<u32> sample(std::span<const float> logits, const graph::SamplingParams& params, u32 step);

}  // namespace pronk::cpu
