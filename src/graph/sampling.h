// How a token is drawn from logits; src/cpu/sampler.h has the definition that every back end follows.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/types.h"

namespace pronk::graph {

struct SamplingParams {
  float temperature = 0;  // 0: greedy
  u32 top_k = 0;          // 0: off
  float top_p = 1;        // 1 or more: off
  float min_p = 0;        // 0 or less: off
  u64 seed = 0;
  // cpu/logit_adjustment.h says what they do.
  float repetition_penalty = 1;  // 1: none
  float frequency_penalty = 0, presence_penalty = 0;
};

struct TokenBias {
  u32 token = 0;
  float bias = 0;  // added to its logit; `ban` or less: it is never drawn
};
constexpr float ban = -100, most_bias = 100, most_penalty = 2;
constexpr float least_repetition_penalty = 0.01f, most_repetition_penalty = 100;

// What changes a token's logit.
struct TokenAdjustment {
  u32 count = 0;  // times in the answer, and in_prompt
  float bias = 0;
};
constexpr u32 in_prompt = 1u << 31;

struct TokenLogprob {
  u32 token = 0;
  float logprob = 0;  // natural
};
constexpr u32 most_top_logprobs = 20;

constexpr bool has_penalties(const SamplingParams& params) {
  return params.repetition_penalty != 1 || params.frequency_penalty != 0 || params.presence_penalty != 0;
}

// Below this, logits over temperature could leave the range of a float: such a temperature means greedy.
constexpr float min_temperature = 0x1p-20f;

constexpr bool is_greedy(const SamplingParams& params) { return !(params.temperature >= min_temperature); }

// Above this all tokens are alike anyway, and the inverse stays above 0.
constexpr float max_temperature = 0x1p60f;

constexpr float inverse_temperature(const SamplingParams& params) {
  return is_greedy(params) ? 1 : 1 / std::min(params.temperature, max_temperature);
}

// What a run fails with when there is no token to sample.
constexpr std::string_view bad_logits_message =
    "the model's logits are NaN, or none is finite: its weights are damaged, or its arithmetic overflows";

// The same when biases or a mask had their say.
constexpr std::string_view no_token_message =
    "no token can be sampled: the biases and the mask ban all that the model gives a finite logit, or its logits are "
    "NaN";

}  // namespace pronk::graph
