#include "cpu/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace pronk::cpu {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// Finite, or −∞ for what is never drawn.
float sane(float logit) { return logit > -3e38f ? std::min(logit, 3e38f) : -infinity; }

u32 arg_max(std::span<const float> logits) {
  u32 best = 0;
  for (u32 i = 1; i < logits.size(); ++i) {
    if (sane(logits[i]) > sane(logits[best])) best = i;
  }
  return best;
}

// Logits relative to the largest, which is finite.
struct Relative {
  float largest, inverse_temperature;

  float distance(float logit) const { return (logit - largest) * inverse_temperature; }
  float exp(float logit) const { return std::exp(distance(logit)); }
};

// The k-th largest.
float top_k_threshold(std::vector<float>& logits, u32 k) {
  std::nth_element(logits.begin(), logits.begin() + (k - 1), logits.end(), std::greater<>());
  return logits[k - 1];
}

// The last logit of the nucleus among `kept`, which becomes a heap and is taken from. top_k: they are not all there
// are.
float top_p_threshold(std::vector<float>& kept, bool top_k, float top_p, const Relative& relative, float sum) {
  const auto weight = [&](float logit) { return u32(relative.exp(logit) / sum * 0x1p30f); };
  u32 total = 0;
  for (float logit : kept) total += top_k ? weight(logit) : 0;
  const u32 wanted = std::max(1u, u32(std::max(top_p, 0.0f) * (top_k ? float(total) : 0x1p30f)));
  std::make_heap(kept.begin(), kept.end());
  float last = kept.front();
  u32 inside = 0;
  while (!kept.empty()) {
    last = kept.front();
    inside += weight(last);
    if (inside >= wanted) break;
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

std::optional<u32> Sampler::sample(std::span<const float> logits, const graph::SamplingParams& params, u32 step) {
  CHECK(!logits.empty());
  if (std::any_of(logits.begin(), logits.end(), [](float logit) { return std::isnan(logit); })) return std::nullopt;
  const u32 largest = arg_max(logits);
  const Relative relative{sane(logits[largest]), graph::inverse_temperature(params)};
  if (relative.largest == -infinity) return std::nullopt;
  if (graph::is_greedy(params)) return largest;

  float least = -infinity;
  sorted_.clear();
  const bool top_k = params.top_k > 0 && params.top_k < logits.size();
  if (top_k || params.top_p < 1) {
    for (float logit : logits) sorted_.push_back(sane(logit));
  }
  if (params.top_p < 1) {
    double sum = 0;
    for (float logit : sorted_) sum += relative.exp(logit);
    if (top_k) {
      least = top_k_threshold(sorted_, params.top_k);
      std::erase_if(sorted_, [&](float logit) { return logit < least; });
    }
    least = top_p_threshold(sorted_, top_k, params.top_p, relative, float(sum));
  } else if (top_k) {
    least = top_k_threshold(sorted_, params.top_k);
  }
  const float nearest = params.min_p > 0 ? std::min(0.0f, std::log(params.min_p)) : -infinity;

  u32 winner = largest;
  float best = -infinity;
  for (u32 i = 0; i < logits.size(); ++i) {
    const float logit = sane(logits[i]), distance = relative.distance(logit);
    if (!(logit >= least && distance >= nearest)) continue;
    const float score = distance + gumbel(params.seed, step, i);
    if (score > best) best = score, winner = i;
  }
  return winner;
}

std::optional<u32> sample(std::span<const float> logits, const graph::SamplingParams& params, u32 step) {
  return Sampler(u32(logits.size())).sample(logits, params, step);
}

}  // namespace pronk::cpu
