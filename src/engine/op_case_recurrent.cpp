// Recurrences: two steps, the first at position 0, where what the state's memory holds must not matter.
#include <cmath>

#include "engine/op_case_parts.h"

namespace pronk::engine {
namespace {

constexpr u32 second_tokens = 3;

// The first and the second step of an input of the operation.
struct TwoSteps {
  MadeUpRows rows[2];
  kernels::Operand operands[2];

  TwoSteps(OpCase& c, u32 width, u32 tokens, u32 seed, float spread = 1, float middle = 0)
      : rows{{width, tokens, seed, spread, middle}, {width, second_tokens, seed + 1, spread, middle}},
        operands{add_operand(c, memory_of(rows[0].floats)), add_operand(c, memory_of(rows[1].floats))} {}
};

OpCase recurrent_case(std::string op, std::string shape, u32 tokens, std::string variant) {
  return {.op = std::move(op),
          .format = "f32",
          .shape = std::move(shape) + " tokens " + std::to_string(tokens) + "+" + std::to_string(second_tokens),
          .variant = std::move(variant),
          .tolerance = 4e-6};
}

// The memory of the state, the states of both steps and their outputs.
struct Steps {
  std::vector<float> before;
  kernels::Operand memory;
  kernels::Operand states[2];
  OutputRows outputs[2];

  Steps(OpCase& c, u32 floats, u32 width, u32 tokens, u32 seed)
      : before(made_up_floats(floats, seed)),
        memory(add_operand(c, memory_of(before))),
        states{add_state(c, 0, tokens), add_state(c, tokens, second_tokens)},
        outputs{{c, width, tokens, seed + 1}, {c, width, second_tokens, seed + 2}} {}

  void expect_memory(OpCase& c, std::span<const double> state) const {
    OpAnswer answer = unchanged(u32(memory), before);
    for (u64 i = 0; i < state.size(); ++i) expect(answer, i, state[i]);
    c.answers.push_back(std::move(answer));
  }
};

}  // namespace

OpCase conv1d_case(kernels::Conv1d conv, u32 tokens, u32 seed) {
  OpCase c = recurrent_case("conv1d", by(conv.width, conv.kernel), tokens, conv.bias ? "bias" : "");
  const TwoSteps x(c, conv.width, tokens, seed);
  const auto weight = made_up_floats(conv.width * conv.kernel, seed + 2), bias = made_up_floats(conv.width, seed + 3);
  const kernels::Operand weights = add_operand(c, memory_of(weight)), biases = add_operand(c, memory_of(bias));
  const Steps steps(c, (conv.kernel - 1) * conv.width, conv.width, tokens, seed + 4);
  std::vector<double> state(steps.before.size());
  const std::vector<double> w = doubles(weight), b = doubles(bias);
  for (u32 i = 0; i < 2; ++i) {
    conv.x = x.rows[i].columns, conv.out = steps.outputs[i].columns();
    add_step(c, kernels::lower(
                    conv, {steps.states[i], x.operands[i], weights, biases, steps.memory, steps.outputs[i].operand}));
    std::vector<double> in = x.rows[i].reals(), out(in.size());
    cpu::conv1d<double>(rows_of(in, conv.width), w, conv.bias ? b.data() : nullptr, state.data(), conv.width,
                        rows_of(out, conv.width));
    c.answers.push_back(steps.outputs[i].answer(out));
  }
  steps.expect_memory(c, state);
  return c;
}

OpCase delta_rule_case(kernels::DeltaRule rule, u32 tokens, u32 seed) {
  const u32 keys = rule.key_heads * rule.key, values = rule.value_heads * rule.value;
  OpCase c = recurrent_case("delta_rule", by(rule.value_heads, rule.value) + " by " + by(rule.key_heads, rule.key),
                            tokens, rule.neighbours_share ? "neighbours" : "modulo");
  const float spread = 1 / std::sqrt(float(rule.key));  // keys of length one, as models make them
  const TwoSteps q(c, keys, tokens, seed, spread), k(c, keys, tokens, seed + 2, spread), v(c, values, tokens, seed + 4),
      decay(c, rule.value_heads, tokens, seed + 6, 0.05f, -0.2f),
      beta(c, rule.value_heads, tokens, seed + 8, 0.1f, 0.6f);
  const u32 size = rule.key * rule.value;
  const Steps steps(c, rule.value_heads * size, values, tokens, seed + 10);
  std::vector<double> state(steps.before.size()), sum(rule.value);
  for (u32 i = 0; i < 2; ++i) {
    rule.q = q.rows[i].columns, rule.k = k.rows[i].columns, rule.v = v.rows[i].columns;
    rule.decay = decay.rows[i].columns, rule.beta = beta.rows[i].columns;
    rule.out = steps.outputs[i].columns();
    add_step(c, kernels::lower(rule, {steps.states[i], q.operands[i], k.operands[i], v.operands[i], decay.operands[i],
                                      beta.operands[i], steps.memory, steps.outputs[i].operand}));
    std::vector<double> qs = q.rows[i].reals(), ks = k.rows[i].reals(), vs = v.rows[i].reals(),
                        decays = decay.rows[i].reals(), betas = beta.rows[i].reals(), out(vs.size());
    for (u32 head = 0; head < rule.value_heads; ++head) {
      const u32 shared = rule.neighbours_share ? head / (rule.value_heads / rule.key_heads) : head % rule.key_heads;
      cpu::delta_rule_head<double>(rows_of(qs, keys).columns(shared * rule.key, rule.key),
                                   rows_of(ks, keys).columns(shared * rule.key, rule.key),
                                   rows_of(vs, values).columns(head * rule.value, rule.value),
                                   rows_of(decays, rule.value_heads).columns(head, 1),
                                   rows_of(betas, rule.value_heads).columns(head, 1), &state[head * size], sum.data(),
                                   rows_of(out, values).columns(head * rule.value, rule.value));
    }
    c.answers.push_back(steps.outputs[i].answer(out));
  }
  steps.expect_memory(c, state);
  return c;
}

OpCase scan_case(kernels::Scan scan, u32 tokens, u32 seed) {
  const u32 width = scan.heads * scan.width, group_width = scan.groups * scan.state;
  OpCase c = recurrent_case("scan", by(scan.heads, scan.width) + " state " + by(scan.groups, scan.state), tokens,
                            scan.a_of_state ? "a of state" : "a of head");
  const TwoSteps x(c, width, tokens, seed), dt(c, scan.heads, tokens, seed + 2, 0.1f, 0.5f),
      b(c, group_width, tokens, seed + 4), cs(c, group_width, tokens, seed + 6);
  const u32 a_size = scan.a_of_state ? scan.state : 1;
  const auto a = made_up_floats(scan.heads * a_size, seed + 8, 0.2f, -0.7f);
  const kernels::Operand rates = add_operand(c, memory_of(a));
  const u32 size = scan.width * scan.state;
  const Steps steps(c, scan.heads * size, width, tokens, seed + 9);
  std::vector<double> state(steps.before.size());
  const std::vector<double> rate = doubles(a);
  for (u32 i = 0; i < 2; ++i) {
    scan.x = x.rows[i].columns, scan.dt = dt.rows[i].columns, scan.b = b.rows[i].columns, scan.c = cs.rows[i].columns;
    scan.out = steps.outputs[i].columns();
    add_step(c, kernels::lower(scan, {steps.states[i], x.operands[i], dt.operands[i], b.operands[i], cs.operands[i],
                                      rates, steps.memory, steps.outputs[i].operand}));
    std::vector<double> xs = x.rows[i].reals(), dts = dt.rows[i].reals(), bs = b.rows[i].reals(),
                        c_s = cs.rows[i].reals(), out(xs.size());
    for (u32 head = 0; head < scan.heads; ++head) {
      const u32 column = head / (scan.heads / scan.groups) * scan.state;
      cpu::scan_head<double>(
          rows_of(xs, width).columns(head * scan.width, scan.width), rows_of(dts, scan.heads).columns(head, 1),
          rows_of(bs, group_width).columns(column, scan.state), rows_of(c_s, group_width).columns(column, scan.state),
          std::span(rate).subspan(head * a_size, a_size), &state[head * size],
          rows_of(out, width).columns(head * scan.width, scan.width));
    }
    c.answers.push_back(steps.outputs[i].answer(out));
  }
  steps.expect_memory(c, state);
  return c;
}

}  // namespace pronk::engine
