#include "cpu/logit_adjustment.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace pronk::cpu {
namespace {

constexpr float lowest = -3e38f, highest = 3e38f;

float adjusted(float logit, const graph::SamplingParams& params, const graph::TokenAdjustment& token) {
  const u32 count = token.count & ~graph::in_prompt;
  float v = std::min(logit, highest);
  if (token.count != 0) v = v > 0 ? v / params.repetition_penalty : v * params.repetition_penalty;
  v -= params.frequency_penalty * float(count);
  if (count > 0) v -= params.presence_penalty;
  return std::clamp(v + token.bias, lowest, highest);
}

}  // namespace

std::vector<graph::TokenAdjustment> token_adjustments(u32 vocab, std::span<const u32> prompt,
                                                      std::span<const u32> answer,
                                                      std::span<const graph::TokenBias> biases) {
  std::vector<graph::TokenAdjustment> tokens(vocab);
  for (u32 token : prompt) tokens[token].count = graph::in_prompt;
  for (u32 token : answer) ++tokens[token].count;
  for (const auto& [token, bias] : biases) tokens[token].bias = bias;
  return tokens;
}

void adjust_logits(std::span<const float> logits, const graph::SamplingParams& params,
                   std::span<const graph::TokenAdjustment> adjustments, std::span<const u32> mask,
                   std::vector<float>& out) {
  CHECK(logits.size() == adjustments.size() && (mask.empty() || mask.size() * 32 >= logits.size()));
  out.resize(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const graph::TokenAdjustment& token = adjustments[i];
    const bool banned = token.bias <= graph::ban || (!mask.empty() && (mask[i / 32] >> (i % 32) & 1) == 0);
    if (std::isnan(logits[i]) || !(logits[i] > lowest)) {
      out[i] = logits[i];
    } else {
      out[i] = banned ? lowest : adjusted(logits[i], params, token);
    }
  }
}

}  // namespace pronk::cpu
