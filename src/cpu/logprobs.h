// Log probabilities of tokens: natural, of the model's own distribution, before penalties, bias, mask, temperature and
// truncation (what vLLM calls raw_logprobs, its default).
#pragma once

#include <span>
#include <vector>

#include "graph/sampling.h"

namespace pronk::cpu {

// Of the token that was sampled, then of the `top` most likely ones, the lowest id first on ties. No logit is a NaN.
std::vector<graph::TokenLogprob> logprobs(std::span<const float> logits, u32 sampled, u32 top);

}  // namespace pronk::cpu
