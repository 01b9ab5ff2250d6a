#include "cpu/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace pronk::cpu {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

float finite_or_less(float logit) { return std::isnan(logit) ? -infinity : logit; }

u32 arg_max(std::span<const float> logits) {
  u32 best = 0;
  for (u32 i = 1; i < logits.size(); ++i) {
    if (finite_or_less(logits[i]) > finite_or_less(logits[best])) best = i;
  }
  return best;
}

// exp(z − z_max), also where both are infinite.
float relative_weight(float z, float z_max) { return z >= z_max ? 1.0f : std::exp(z - z_max); }

// The k-th largest.
float top_k_threshold(std::vector<float>& logits, u32 k) {
  std::nth_element(logits.begin(), logits.begin() + (k - 1), logits.end(), std::greater<>());
  return logits[k - 1];
}

// The last logit of the nucleus among `kept`, which becomes a heap and is taken from.
float top_p_threshold(std::vector<float>& kept, float top_p, float inverse_temperature, float z_max, float z_sum) {
  const auto weight = [&](float logit) {
    return u32(relative_weight(logit * inverse_temperature, z_max) / z_sum * 0x1p30f);
  };
  u32 total = 0;
  for (float logit : kept) total += weight(logit);
  const float target = top_p * float(total);
  std::make_heap(kept.begin(), kept.end());
  float last = kept.front();
  u32 inside = 0;
  while (!kept.empty()) {
    last = kept.front();
    inside += weight(last);
    if (float(inside) >= target) break;
    std::pop_heap(kept.begin(), kept.end());
    kept.pop_back();
  }
  return last;
}

}  // namespace

float gumbel(u64 seed, u32 step, u32 token) {
  const u32 hash = mix(token ^ mix(step ^ mix(u32(seed >> 32) ^ mix(u32(seed)))));
  const float v = (float(hash >> 9) + 0.5f) * 0x1p-23f;  // in (0, 1), exact
  // −log(1 − v); near zero by its series, which needs no more than WGSL's log offers
  const float exponential = v < 0.01f ? v * (1 + v * (0.5f + v * (1.0f / 3 + v * 0.25f))) : -std::log(1 - v);
  return -std::log(exponential);
}

u32 Sampler::sample(std::span<const float> logits, const graph::SamplingParams& params, u32 step) {
  CHECK(!logits.empty());
  const u32 largest = arg_max(logits);
  const float l_max = finite_or_less(logits[largest]);
  if (graph::is_greedy(params) || l_max == -infinity) return largest;
  const float inverse_temperature = 1 / params.temperature;
  const float z_max = l_max * inverse_temperature;

  float l_least = -infinity, z_least = -infinity;
  sorted_.clear();
  const bool top_k = params.top_k > 0 && params.top_k < logits.size();
  if (top_k || params.top_p < 1) {
    for (float logit : logits) sorted_.push_back(finite_or_less(logit));
  }
  if (params.top_p < 1) {
    float z_sum = 0;
    for (float logit : sorted_) z_sum += relative_weight(logit * inverse_temperature, z_max);
    if (top_k) {
      l_least = top_k_threshold(sorted_, params.top_k);
      std::erase_if(sorted_, [&](float logit) { return logit < l_least; });
    }
    l_least = top_p_threshold(sorted_, params.top_p, inverse_temperature, z_max, z_sum);
  } else if (top_k) {
    l_least = top_k_threshold(sorted_, params.top_k);
  }
  if (params.min_p > 0) z_least = std::min(z_max, z_max + std::log(params.min_p));

  u32 winner = largest;
  float best = -infinity;
  for (u32 i = 0; i < logits.size(); ++i) {
    const float z = logits[i] * inverse_temperature;
    if (!(logits[i] >= l_least && z >= z_least)) continue;
    const float score = z + gumbel(params.seed, step, i);
    if (score > best) best = score, winner = i;
  }
  return winner;
}

u32 sample(std::span<const float> logits, const graph::SamplingParams& params, u32 step) {
  return Sampler(u32(logits.size())).sample(logits, params, step);
}

}  // namespace pronk::cpu
