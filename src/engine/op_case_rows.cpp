// Operations on the rows of values, token by token.
#include <algorithm>
#include <cmath>

#include "engine/op_case_parts.h"

namespace pronk::engine {
namespace {

constexpr double row_tolerance = 2e-6;

OpCase row_case(std::string op, std::string shape, u32 tokens, std::string variant = "") {
  return {.op = std::move(op),
          .format = "f32",
          .shape = std::move(shape) + tokens_shape(tokens),
          .variant = std::move(variant),
          .tolerance = row_tolerance};
}

kernels::Operand add_rows(OpCase& c, const MadeUpRows& rows) { return add_operand(c, memory_of(rows.floats)); }

kernels::Operand add_vector(OpCase& c, const std::vector<float>& vector) { return add_operand(c, memory_of(vector)); }

void join_word(std::string& text, std::string_view word, bool wanted) {
  if (wanted) text += (text.empty() ? "" : "+") + std::string(word);
}

}  // namespace

OpCase norm_case(kernels::Norm n, u32 tokens, u32 seed) {
  const bool layer = n.kind == graph::Norm::Kind::layer;
  std::string variant = layer ? "layer" : "rms";
  join_word(variant, n.weight_width == n.width ? "row weight" : "weight", n.weight_width > 0);
  join_word(variant, "bias", n.bias_width > 0);
  join_word(variant, "add", n.add);
  OpCase c = row_case("norm", by(n.width / n.group, n.group), tokens, variant);
  c.tolerance = sum_tolerance(u32(std::sqrt(n.group)));
  const MadeUpRows x(n.width, tokens, seed, 1.5f, 0.7f), residual(n.width, tokens, seed + 1);
  const auto weight = made_up_floats(n.weight_width, seed + 2, 0.3f, 1), bias = made_up_floats(n.bias_width, seed + 3);
  const OutputRows y(c, n.width, tokens, seed + 4);
  n.x = x.columns, n.residual = residual.columns, n.out = y.columns();
  add_step(c,
           kernels::lower(n, {.state = add_state(c, 0, tokens),
                              .x = add_rows(c, x),
                              .weight = add_vector(c, weight),
                              .bias = add_vector(c, bias),
                              .residual = add_rows(c, residual),
                              .out = y.operand}),
           tokens);
  std::vector<double> out = x.reals();
  const graph::Norm op{.kind = n.kind, .x = {}, .group = n.group, .eps = n.eps, .scale = n.scale};
  cpu::norm<double>(op, rows_of(out, n.width), doubles(weight), doubles(bias), rows_of(out, n.width));
  const std::vector<double> more = residual.reals();
  for (u64 i = 0; n.add && i < out.size(); ++i) out[i] += more[i];
  c.answers.push_back(y.answer(out));
  return c;
}

OpCase map_case(kernels::Map m, bool vector, u32 tokens, u32 seed) {
  const bool two = graph::takes_two(m.function);
  OpCase c = row_case("map", two ? by(m.width / m.b_width, m.b_width) : std::to_string(m.width), tokens,
                      function_name(m.function) + (vector ? "+vector" : ""));
  MadeUpRows a(m.width, tokens, seed, 3);
  // Where the functions change: far out, near zero and at it.
  constexpr float special[] = {0, 1e-4f, -1e-4f, 0.3f, -0.3f, 9, -9, 20, -20, 60, -60};
  const bool grows = m.function == graph::Function::exponential;
  for (u32 i = 0; i < std::min<u32>(m.width, std::size(special)); ++i)
    a.floats[a.columns.base + i] = grows ? special[i] / 20 : special[i];
  MadeUpRows b(std::max(m.b_width, 1u), vector ? 1 : tokens, seed + 1, 3);
  const OutputRows y(c, m.width, tokens, seed + 2);
  m.a = a.columns, m.b = b.columns, m.out = y.columns();
  if (vector) m.b.stride = 0;
  add_step(c, kernels::lower(m, {add_state(c, 0, tokens), add_rows(c, a), add_rows(c, b), y.operand}), tokens);
  std::vector<double> in = a.reals(), second = b.reals(), out(in.size());
  cpu::Rows<double> second_rows = rows_of(second, b.width);
  if (vector) second_rows.stride = 0;
  if (!two) second_rows = {};
  const graph::Map op{.function = m.function, .a = {}, .p = m.p};
  cpu::map<double>(op, rows_of(in, m.width), second_rows, rows_of(out, m.width));
  c.answers.push_back(y.answer(out));
  return c;
}

OpCase position_scale_case(kernels::PositionScale s, u32 position, u32 tokens, u32 seed) {
  OpCase c = row_case("position_scale", std::to_string(s.width), tokens);
  const MadeUpRows x(s.width, tokens, seed);
  const OutputRows y(c, s.width, tokens, seed + 1);
  s.x = x.columns, s.out = y.columns();
  add_step(c, kernels::lower(s, {add_state(c, position, tokens), add_rows(c, x), y.operand}), tokens);
  std::vector<double> in = x.reals(), out(in.size());
  const graph::PositionScale op{.x = {}, .scale = s.scale, .interval = s.interval};
  cpu::position_scale<double>(op, rows_of(in, s.width), position, rows_of(out, s.width));
  c.answers.push_back(y.answer(out));
  return c;
}

graph::RopeTable made_up_rope(graph::RopePairs pairs, u32 rotated) {
  graph::RopeTable rope{.pairs = pairs};
  for (u32 i = 0; i < rotated / 2; ++i) rope.frequency.push_back(std::pow(10000.0, -2.0 * i / rotated));
  rope.magnitude = 1.125;
  return rope;
}

RopeAngles rope_angles(const graph::RopeTable& rope, u32 position, u32 tokens) {
  RopeAngles angles;
  for (u32 t = 0; t < tokens; ++t) {
    for (const double frequency : rope.frequency) {
      angles.cosines.push_back(rope.magnitude * std::cos((position + t) * frequency));
      angles.sines.push_back(rope.magnitude * std::sin((position + t) * frequency));
    }
  }
  return angles;
}

OpCase rope_case(kernels::Rope r, u32 position, u32 tokens, u32 seed) {
  const bool adjacent = r.pairs == graph::RopePairs::adjacent;
  OpCase c = row_case(
      "rope", by(r.width / r.head, r.head), tokens,
      std::string(adjacent ? "adjacent " : "halves ") + std::to_string(r.first) + "+" + std::to_string(r.rotated));
  const graph::RopeTable rope = made_up_rope(r.pairs, r.rotated);
  const MadeUpRows x(r.width, tokens, seed);
  const OutputRows y(c, r.width, tokens, seed + 1);
  r.x = x.columns, r.out = y.columns();
  const kernels::Operand table = add_vector(c, kernels::rope_table(rope, {}, position + tokens));
  add_step(c, kernels::lower(r, {add_state(c, position, tokens), table, add_rows(c, x), y.operand}), tokens);
  std::vector<double> in = x.reals(), out(in.size());
  const RopeAngles angles = rope_angles(rope, position, tokens);
  cpu::rope<double>(rows_of(in, r.width), rope, r.head, r.first, {angles.cosines.data(), angles.sines.data()},
                    rows_of(out, r.width));
  c.answers.push_back(y.answer(out));
  return c;
}

OpCase take_columns_case(kernels::TakeColumns t, u32 tokens, u32 seed) {
  const u32 width = t.groups * t.group, out_width = t.groups * t.width;
  OpCase c =
      row_case("take_columns", by(t.groups, t.group), tokens, std::to_string(t.first) + "+" + std::to_string(t.width));
  const MadeUpRows x(width, tokens, seed);
  const OutputRows y(c, out_width, tokens, seed + 1);
  t.x = x.columns, t.out = y.columns();
  add_step(c, kernels::lower(t, {add_state(c, 0, tokens), add_rows(c, x), y.operand}), tokens);
  std::vector<double> in = x.reals(), out(u64(tokens) * out_width);
  const graph::TakeColumns op{.x = {}, .group = t.group, .first = t.first, .width = t.width};
  cpu::take_columns<double>(op, rows_of(in, width), rows_of(out, out_width));
  c.answers.push_back(y.answer(out));
  return c;
}

OpCase join_columns_case(kernels::JoinColumns j, u32 tokens, u32 seed) {
  const u32 a_width = j.groups * j.group_a, b_width = j.groups * j.group_b, width = a_width + b_width;
  OpCase c = row_case("join_columns", by(j.groups, j.group_a) + "+" + std::to_string(j.group_b), tokens);
  const MadeUpRows a(a_width, tokens, seed), b(b_width, tokens, seed + 1);
  const OutputRows y(c, width, tokens, seed + 2);
  j.a = a.columns, j.b = b.columns, j.out = y.columns();
  add_step(c, kernels::lower(j, {add_state(c, 0, tokens), add_rows(c, a), add_rows(c, b), y.operand}), tokens);
  std::vector<double> first = a.reals(), second = b.reals(), out(u64(tokens) * width);
  const graph::JoinColumns op{.a = {}, .b = {}, .group_a = j.group_a, .group_b = j.group_b};
  cpu::join_columns<double>(op, rows_of(first, a_width), rows_of(second, b_width), rows_of(out, width));
  c.answers.push_back(y.answer(out));
  return c;
}

OpCase route_case(kernels::Route r, u32 tokens, u32 seed) {
  constexpr std::string_view gatings[] = {"softmax", "sigmoid", "softmax_after"};
  std::string variant(gatings[u32(r.gating)]);
  join_word(variant, "bias", r.bias);
  join_word(variant, "scale", r.expert_scale);
  join_word(variant, "normalize", r.normalize);
  join_word(variant, "groups " + std::to_string(r.groups_used) + "/" + std::to_string(r.groups), r.groups > 1);
  join_word(variant, "by best", r.by_best);
  OpCase c = row_case("route", std::to_string(r.used) + " of " + std::to_string(r.experts), tokens, variant);
  MadeUpRows logits(r.experts, tokens, seed, 2);
  // The last token's logits say nothing about most experts: sums near zero, and equals, of which the first is taken.
  float* last = &logits.floats[logits.columns.base + u64(tokens - 1) * logits.columns.stride];
  if (tokens > 1) std::fill_n(last, r.experts, -20.0f);
  if (r.groups > 1 && r.gating == graph::Route::Gating::softmax_after && !r.bias && !r.by_best) {
    // Groups whose two best scores have the same sum: the first ones count, and the best experts lie in others.
    const u32 members = r.experts / r.groups;
    CHECK(members >= 2);
    for (u32 g = 0; g < r.groups; ++g) last[g * members] = float(g), last[g * members + 1] = -float(g);
  }
  const auto bias = made_up_floats(r.experts, seed + 1, 0.2f), scale = made_up_floats(r.experts, seed + 2, 0.3f, 1);
  const OutputRows chosen(c, r.used, tokens, seed + 3), weights(c, r.used, tokens, seed + 4);
  r.logits = logits.columns, r.chosen = chosen.columns(), r.weights = weights.columns();
  add_step(c,
           kernels::lower(r, {.state = add_state(c, 0, tokens),
                              .logits = add_rows(c, logits),
                              .bias = add_vector(c, bias),
                              .expert_scale = add_vector(c, scale),
                              .chosen = chosen.operand,
                              .weights = weights.operand}),
           tokens);
  std::vector<double> in = logits.reals(), which(u64(tokens) * r.used), counts(which.size());
  const graph::Route op{.gating = r.gating,
                        .logits = {},
                        .used = r.used,
                        .groups = r.groups,
                        .groups_used = r.groups_used,
                        .by_best = r.by_best,
                        .normalize = r.normalize,
                        .scale = r.scale};
  const auto b = doubles(bias), s = doubles(scale);
  cpu::RouteScratch<double> scratch(r.experts, r.groups);
  cpu::route<double>(op, rows_of(in, r.experts), r.bias ? b.data() : nullptr, r.expert_scale ? s.data() : nullptr,
                     scratch, rows_of(which, r.used), rows_of(counts, r.used));
  OpAnswer numbers = chosen.answer(which);
  std::fill(numbers.match.begin(), numbers.match.end(), Match::same);
  c.answers.push_back(std::move(numbers));
  c.answers.push_back(weights.answer(counts));
  return c;
}

OpCase weighted_sum_case(kernels::WeightedSum w, u32 tokens, u32 seed) {
  OpCase c = row_case("weighted_sum", by(w.parts, w.width), tokens);
  const MadeUpRows x(w.parts * w.width, tokens, seed), weights(w.parts, tokens, seed + 1);
  const OutputRows y(c, w.width, tokens, seed + 2);
  w.x = x.columns, w.weights = weights.columns, w.out = y.columns();
  add_step(c, kernels::lower(w, {add_state(c, 0, tokens), add_rows(c, x), add_rows(c, weights), y.operand}), tokens);
  std::vector<double> in = x.reals(), by_part = weights.reals(), out(u64(tokens) * w.width);
  cpu::weighted_sum<double>(rows_of(in, x.width), rows_of(by_part, w.parts), rows_of(out, w.width));
  c.answers.push_back(y.answer(out));
  return c;
}

OpCase keep_largest_case(kernels::KeepLargest k, u32 tokens, u32 seed) {
  OpCase c = row_case("keep_largest", std::to_string(k.width), tokens);
  const MadeUpRows x(k.width, tokens, seed, 1.5f, 0.5f);
  const OutputRows y(c, k.width, tokens, seed + 1);
  k.x = x.columns, k.out = y.columns();
  add_step(c, kernels::lower(k, {add_state(c, 0, tokens), add_rows(c, x), y.operand}), tokens);
  std::vector<double> in = x.reals(), out(in.size());
  cpu::keep_largest<double>({.x = {}, .deviations = k.deviations}, rows_of(in, k.width), rows_of(out, k.width));
  c.answers.push_back(y.answer(out));
  return c;
}

}  // namespace pronk::engine
