#include "engine/op_case.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "base/half.h"
#include "cpu/logit_adjustment.h"
#include "cpu/sampler.h"
#include "engine/op_case_parts.h"

namespace pronk::engine {

namespace {

kernels::SamplingOperands sampling_operands(OpCase& c, const kernels::SampleParams& params,
                                            const std::vector<float>& logits, u32 step) {
  kernels::StepState state;
  state.step = step, state.remaining = 10;
  return {.params = add_operand(c, params_of(params)),
          .state = add_operand(c, params_of(state)),
          .logits = add_operand(c, memory_of(logits)),
          .blocks = add_operand(c, Memory(align_up(kernels::sample_blocks_bytes(params.vocab), 16))),
          .candidates = add_operand(c, Memory(align_up(kernels::sample_candidates_bytes(params.vocab), 16))),
          .end_tokens = add_operand(c, Memory(16)),
          .next_token = add_operand(c, Memory(16)),
          .sampled = add_operand(c, Memory(16))};
}

void expect_token(OpCase& c, const kernels::SamplingOperands& operands, u32 token) {
  for (const kernels::Operand memory : {operands.next_token, operands.sampled})
    c.answers.push_back({u32(memory), OpAnswer::Type::u32, {double(token)}, {Match::same}});
}

}  // namespace

OpCase sampling_case(u32 vocab, const graph::SamplingParams& sampling, u32 seed) {
  const auto logits = made_up_floats(vocab, seed, 3);
  const kernels::SampleParams p = kernels::sample_params(sampling, vocab, 1000, 0);
  OpCase c{.op = "sampling", .format = "f32", .shape = std::to_string(vocab)};
  c.variant = p.greedy ? "greedy" : "temperature";
  if (!p.greedy && p.top_k > 0) c.variant += "+top_k";
  if (!p.greedy && p.top_p < 1) c.variant += "+top_p";
  if (!p.greedy && sampling.min_p > 0) c.variant += "+min_p";
  const kernels::SamplingOperands operands = sampling_operands(c, p, logits, seed);
  for (kernels::Launch& launch : kernels::lower_sampling(vocab, p.greedy, operands)) add_step(c, std::move(launch));
  expect_token(c, operands, *cpu::sample(logits, sampling, seed));
  return c;
}

namespace {

// The definition of cpu/logit_adjustment.h in double precision.
double adjusted(double logit, const graph::SamplingParams& s, const graph::TokenAdjustment& token, bool allowed) {
  const u32 count = token.count & ~graph::in_prompt;
  if (!allowed || token.bias <= graph::ban) return double(-3e38f);
  if (token.count != 0) logit = logit > 0 ? logit / s.repetition_penalty : logit * s.repetition_penalty;
  return logit - double(s.frequency_penalty) * count - (count > 0 ? s.presence_penalty : 0) + token.bias;
}

// Some of them in the prompt, in the answer, biased or banned.
std::vector<graph::TokenAdjustment> made_up_adjustments(u32 vocab, u32 seed) {
  const auto kinds = made_up_floats(vocab, seed + 1), biases = made_up_floats(vocab, seed + 2, 4);
  std::vector<graph::TokenAdjustment> tokens(vocab);
  for (u32 i = 0; i < vocab; ++i) {
    if (kinds[i] > 0.5f) tokens[i].count = i % 7;
    if (kinds[i] < 0 && kinds[i] > -1) tokens[i].count |= graph::in_prompt;
    if (i % 3 == 0) tokens[i].bias = biases[i];
    if (i % 11 == 5) tokens[i].bias = graph::ban;
  }
  return tokens;
}

}  // namespace

OpCase adjust_case(u32 vocab, bool masked, u32 seed) {
  const graph::SamplingParams sampling{
      .repetition_penalty = 1.3f, .frequency_penalty = 0.7f, .presence_penalty = -0.4f};
  const auto logits = made_up_floats(vocab, seed, 3);
  auto tokens = made_up_adjustments(vocab, seed);
  std::vector<u32> mask(kernels::mask_bytes(vocab) / 4);
  for (u32 i = 0; i < mask.size(); ++i) mask[i] = seed * 0x9e3779b9u ^ i * 0x85ebca6bu;
  const u32 fed = vocab / 2;
  OpCase c{.op = "adjust_logits", .format = "f32", .shape = std::to_string(vocab)};
  c.variant = masked ? "masked" : "";
  c.tolerance = 1e-6;
  const kernels::SamplingOperands operands =
      sampling_operands(c, kernels::sample_params(sampling, vocab, 1000, 0), logits, 5);
  const kernels::AdjustOperands adjust{
      .params = add_operand(c, params_of(kernels::adjust_params(sampling, 4, masked))),
      .fed = add_operand(c, memory_of_bytes(&fed, sizeof fed)),
      .mask = add_operand(c, memory_of_bytes(mask.data(), mask.size() * 4)),
      .adjustments = add_operand(c, memory_of_bytes(tokens.data(), tokens.size() * sizeof tokens[0]))};
  for (kernels::Launch& launch : kernels::lower_sampling(vocab, true, operands, adjust)) add_step(c, std::move(launch));
  ++tokens[fed].count;
  OpAnswer counts{u32(adjust.adjustments), OpAnswer::Type::u32, {}, {}};
  OpAnswer values = unchanged(u32(operands.logits), logits);
  for (u32 i = 0; i < vocab; ++i) {
    const bool allowed = !masked || (mask[i / 32] >> (i % 32) & 1) != 0;
    const double value = adjusted(logits[i], sampling, tokens[i], allowed);
    expect(values, i, value, value > double(-3e38f) ? Match::near : Match::same);
    counts.values.insert(counts.values.end(), {double(tokens[i].count), double(std::bit_cast<u32>(tokens[i].bias))});
  }
  counts.match.assign(counts.values.size(), Match::same);
  expect_token(c, operands, u32(std::max_element(values.values.begin(), values.values.end()) - values.values.begin()));
  c.answers.push_back(std::move(counts));
  c.answers.push_back(std::move(values));
  return c;
}

// ---- Answers

namespace {

double number_at(const Memory& memory, OpAnswer::Type type, u64 i) {
  if (type == OpAnswer::Type::f16) return f16_to_f32(load_le<u16>(&memory[2 * i]));
  return type == OpAnswer::Type::f32 ? double(load_le<float>(&memory[4 * i])) : double(load_le<u32>(&memory[4 * i]));
}

// The larger of ‖got − answer‖ / ‖answer‖ and the error of the worst number, so that one wrong number among very many
// shows. Sums of independent roundings are spread about evenly: one number may be off by `outlier` times the tolerance,
// of the numbers' root mean square or of itself.
double error_of(const OpAnswer& answer, const Memory& memory) {
  constexpr double infinity = std::numeric_limits<double>::infinity(), outlier = 8;
  double difference = 0, size = 0;
  u64 count = 0;
  for (u64 i = 0; i < answer.values.size(); ++i) {
    const double got = number_at(memory, answer.type, i), wanted = answer.values[i];
    if (answer.match[i] == Match::same && got != wanted) return infinity;
    if (answer.match[i] != Match::near) continue;
    difference += (got - wanted) * (got - wanted);
    size += wanted * wanted;
    ++count;
  }
  if (count == 0) return 0;
  const double mean = std::sqrt(std::max(size, 1e-300) / double(count));
  double error = std::sqrt(difference / std::max(size, 1e-300));
  for (u64 i = 0; i < answer.values.size(); ++i) {
    if (answer.match[i] != Match::near) continue;
    const double wanted = answer.values[i], off = std::abs(number_at(memory, answer.type, i) - wanted);
    error = std::max(error, off / (outlier * std::max(mean, std::abs(wanted))));
  }
  return std::isfinite(error) ? error : infinity;
}

// Labels of all steps that an answer depends on.
std::string writers(const OpCase& c, u32 memory) {
  std::vector<u32> wanted{memory};
  std::string labels;
  for (auto step = c.steps.rbegin(); step != c.steps.rend(); ++step) {
    bool writes = false;
    for (u64 b = 0; b < step->memory.size(); ++b) {
      const bool written = step->kernel.bindings[b] == gpu::BindingType::storage_read_write;
      writes |= written && std::find(wanted.begin(), wanted.end(), step->memory[b]) != wanted.end();
    }
    if (!writes) continue;
    wanted.insert(wanted.end(), step->memory.begin(), step->memory.end());
    labels = step->kernel.label + (labels.empty() ? "" : " > ") + labels;
  }
  return labels;
}

}  // namespace

OpResult check_answers(const OpCase& c, const std::vector<Memory>& memory) {
  OpResult worst;
  for (const OpAnswer& answer : c.answers) {
    const double error = error_of(answer, memory[answer.memory]);
    if (worst.kernels.empty() || error > worst.error) worst = {error, writers(c, answer.memory)};
  }
  return worst;
}

}  // namespace pronk::engine
