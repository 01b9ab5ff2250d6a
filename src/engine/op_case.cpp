#include "engine/op_case.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "base/half.h"
#include "cpu/sampler.h"
#include "engine/op_case_parts.h"

namespace pronk::engine {

OpCase sampling_case(u32 vocab, const graph::SamplingParams& sampling, u32 seed) {
  const auto logits = made_up_floats(vocab, seed, 3);
  const kernels::SampleParams p = kernels::sample_params(sampling, vocab, 1000, 0);
  kernels::StepState state;
  state.step = seed, state.remaining = 10;
  OpCase c{.op = "sampling", .format = "f32", .shape = std::to_string(vocab)};
  c.variant = p.greedy ? "greedy" : "temperature";
  if (!p.greedy && p.top_k > 0) c.variant += "+top_k";
  if (!p.greedy && p.top_p < 1) c.variant += "+top_p";
  if (!p.greedy && sampling.min_p > 0) c.variant += "+min_p";
  const kernels::SamplingOperands operands{
      .params = add_operand(c, params_of(p)),
      .state = add_operand(c, params_of(state)),
      .logits = add_operand(c, memory_of(logits)),
      .blocks = add_operand(c, Memory(align_up(kernels::sample_blocks_bytes(vocab), 16))),
      .candidates = add_operand(c, Memory(align_up(kernels::sample_candidates_bytes(vocab), 16))),
      .end_tokens = add_operand(c, Memory(16)),
      .next_token = add_operand(c, Memory(16)),
      .sampled = add_operand(c, Memory(16))};
  for (kernels::Launch& launch : kernels::lower_sampling(vocab, p.greedy, operands)) add_step(c, std::move(launch));
  const double token = *cpu::sample(logits, sampling, seed);
  for (const kernels::Operand memory : {operands.next_token, operands.sampled})
    c.answers.push_back({u32(memory), OpAnswer::Type::u32, {token}, {Match::same}});
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
