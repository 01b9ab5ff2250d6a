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
};

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

}  // namespace pronk::graph
