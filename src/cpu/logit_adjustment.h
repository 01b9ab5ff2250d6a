// What changes a model's logits before a token is sampled: penalties, biases and a mask. The definition that
// sample_adjust.wgsl follows.
//
// For a token that is in the answer `count` times, in this order:
//   repetition  of one in the prompt or the answer a logit above 0 is divided by the penalty, another multiplied by it
//               (arXiv 1909.05858);
//   frequency   logit −= penalty · count;
//   presence    logit −= penalty when count > 0;
//   bias        logit += bias; one of −100 or less is a ban;
//   mask        what it does not allow is banned.
// A NaN stays what it is, and so does a logit that is never drawn (cpu/sampler.h).
#pragma once

#include <span>
#include <vector>

#include "graph/sampling.h"

namespace pronk::cpu {

// What is to be known of each token of the vocabulary; all tokens are in it. prompt, answer: the text so far.
std::vector<graph::TokenAdjustment> token_adjustments(u32 vocab, std::span<const u32> prompt,
                                                      std::span<const u32> answer,
                                                      std::span<const graph::TokenBias> biases);

// mask: bit i allows token i; empty: all are allowed. `logits` and `adjustments` are of one length; `out` becomes so.
void adjust_logits(std::span<const float> logits, const graph::SamplingParams& params,
                   std::span<const graph::TokenAdjustment> adjustments, std::span<const u32> mask,
                   std::vector<float>& out);

}  // namespace pronk::cpu
