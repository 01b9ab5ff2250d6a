#include "cpu/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace pronk::cpu {

std::vector<graph::TokenLogprob> logprobs(std::span<const float> logits, u32 sampled, u32 top) {
  CHECK(sampled < logits.size());
  const auto finite = [&](u32 token) { return std::clamp(logits[token], -3e38f, 3e38f); };
  float largest = finite(0);
  for (u32 i = 1; i < logits.size(); ++i) largest = std::max(largest, finite(i));
  double sum = 0;
  for (u32 i = 0; i < logits.size(); ++i) sum += std::exp(double(finite(i)) - largest);
  const auto logprob = [&](u32 token) {
    return graph::TokenLogprob{token, float(double(finite(token)) - largest - std::log(sum))};
  };

  top = std::min(top, u32(logits.size()));
  std::vector<u32> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0u);
  std::partial_sort(tokens.begin(), tokens.begin() + top, tokens.end(),
                    [&](u32 a, u32 b) { return finite(a) != finite(b) ? finite(a) > finite(b) : a < b; });
  std::vector<graph::TokenLogprob> out{logprob(sampled)};
  for (u32 i = 0; i < top; ++i) out.push_back(logprob(tokens[i]));
  return out;
}

}  // namespace pronk::cpu
