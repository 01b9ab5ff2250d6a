// Products with weights, and look-ups in them.
#include <algorithm>
#include <cmath>

#include "engine/op_case_parts.h"

namespace pronk::engine {
namespace {

using graph::Epilogue;

constexpr u32 x_base = 8, y_base = 5, bias_base = 3;  // of the operands within what is bound
constexpr float matmul_eps = 1e-5f;

// Of the candidate and of others, as much as the largest needs.
u64 partial_bytes(const MatMulSpec& s) {
  if (s.kernel != MatMulKernel::gemm || !s.candidate) return 0;
  u32 splits = kernels::gemm_tiles()[*s.candidate].splits;
  for (const u32 other : s.others) splits = std::max(splits, kernels::gemm_tiles()[other].splits);
  const u32 rows = kernels::weight_rows(s.kind, s.rows);
  return splits > 1 ? align_up(kernels::gemm_partial_bytes(splits, rows, s.tokens), 16) : 0;
}

struct MatMulInput {
  MadeUpMatrix w;
  u32 x_stride, y_stride;
  std::vector<float> x, norm, bias, y;
  Memory partial;  // NaNs; empty where no candidate splits k

  MatMulInput(const MatMulSpec& s, u32 seed)
      : w(*s.kind.format, s.kind.epilogue == Epilogue::gated ? 2 * s.rows : s.rows, s.cols, seed),
        x_stride(u32(align_up(s.cols, 8)) + 16),
        y_stride(s.rows + s.padding + 7),
        x(made_up_floats(x_base + u64(s.tokens) * x_stride, seed + 1, 1.5f, 0.2f)),
        norm(made_up_floats(align_up(s.cols, 8), seed + 2, 0.3f, 1)),
        bias(made_up_floats(bias_base + s.rows, seed + 3)),
        y(made_up_floats(y_base + u64(s.tokens) * y_stride + 9, seed + 4)),
        partial(partial_bytes(s), 0xff) {
    for (u32 t = 0; t < s.tokens; ++t)
      std::fill_n(&x[x_base + u64(t) * x_stride + s.cols], align_up(s.cols, 8) - s.cols, 0.0f);
    std::fill(norm.begin() + s.cols, norm.end(), 0.0f);
  }
};

bool int8(const MatMulSpec& s) {
  if (!s.candidate) return false;
  if (s.kernel == MatMulKernel::gemm) return kernels::gemm_tiles()[*s.candidate].int8;
  return kernels::matvec_tiles(s.kernel == MatMulKernel::batch)[*s.candidate].int8;
}

// What a GEMM by halves may differ by. Those of a tile sum 32 products up as halves: a sum of k is rounded by 2⁻¹¹ of
// it at most, and sums grow like √k, on the whole by √(32 / 2) times as much. Matrices sum floats, and round both
// factors.
double halves_tolerance(const MatMulSpec& s) {
  if (!s.candidate || s.kernel != MatMulKernel::gemm) return 0;
  const kernels::GemmTile& tile = kernels::gemm_tiles()[*s.candidate];
  return tile.f16 ? 4.0 / 2048 : tile.matrix > 0 ? 2.0 / 2048 : 0;
}

// Sixteen to a scale.
void round_to_int8(std::span<double> row) {
  for (std::size_t first = 0; first < row.size(); first += 16) {
    const auto some = row.subspan(first, std::min<std::size_t>(16, row.size() - first));
    double largest = 0;
    for (const double v : some) largest = std::max(largest, std::fabs(v));
    for (double& v : some) v = largest > 0 ? std::nearbyint(v * 127 / largest) * largest / 127 : 0;
  }
}

// A number near the middle between two bytes may become either: of sixteen numbers the largest, 127 times as much, is
// at most four times their root mean square.
double matmul_tolerance(const MatMulSpec& s) {
  return sum_tolerance(s.cols) + (int8(s) ? 4.0 / 127 / std::sqrt(double(s.cols)) : 0) + halves_tolerance(s);
}

OpAnswer matmul_answer(const MatMulSpec& s, const MatMulInput& in, u32 memory) {
  const std::vector<double> x = doubles(in.x), norm = doubles(in.norm), bias = doubles(in.bias);
  const u32 stride = u32(align_up(s.cols, 8));
  std::vector<double> normed(u64(s.tokens) * stride);
  for (u32 t = 0; t < s.tokens; ++t) std::copy_n(&x[x_base + u64(t) * in.x_stride], s.cols, &normed[u64(t) * stride]);
  const cpu::Rows<double> rows{normed.data(), s.tokens, s.cols, stride};
  if (s.kind.norm) {
    const graph::Norm op{.x = {}, .group = s.cols, .eps = matmul_eps};
    cpu::norm<double>(op, rows, std::span(norm).first(s.cols), {}, rows);
  }
  for (u32 t = 0; int8(s) && t < s.tokens; ++t) round_to_int8(std::span(normed).subspan(u64(t) * stride, s.cols));
  const auto product = [&](u32 first) {
    std::vector<double> out(u64(s.tokens) * s.rows);
    cpu::matmul<double>(in.w.on_cpu(first, s.rows), rows, s.kind.bias ? &bias[bias_base] : nullptr,
                        {out.data(), s.tokens, s.rows, s.rows});
    return out;
  };
  const auto gate = [&](double a, double b) {
    double gated = 0;
    cpu::map_row<double>(s.kind.gate, {}, &a, &b, 1, &gated);
    return gated;
  };
  const std::vector<double> first = product(0);
  const std::vector<double> second = s.kind.epilogue == Epilogue::gated ? product(s.rows) : std::vector<double>();
  OpAnswer answer = unchanged(memory, in.y);
  for (u32 t = 0; t < s.tokens; ++t) {
    for (u32 n = 0; n < s.rows + s.padding; ++n) {
      const u64 at = y_base + u64(t) * in.y_stride + n, i = u64(t) * s.rows + n;
      if (n >= s.rows) {
        expect(answer, at, 0, Match::same);
        continue;
      }
      switch (s.kind.epilogue) {
        case Epilogue::none:
          expect(answer, at, first[i]);
          break;
        case Epilogue::add:
          expect(answer, at, in.y[at] + first[i]);
          break;
        case Epilogue::gate:
          expect(answer, at, gate(in.y[at], first[i]));
          break;
        case Epilogue::gated:
          expect(answer, at, gate(first[i], second[i]));
          break;
      }
    }
  }
  return answer;
}

std::string matmul_variant(const kernels::MatMulKind& kind) {
  constexpr std::string_view epilogues[] = {"", "add", "gate", "gated"};
  std::string text;
  const auto add = [&](std::string_view word) {
    text += (text.empty() || word.empty() ? "" : "+") + std::string(word);
  };
  if (kind.norm) add("norm");
  if (kind.bias) add("bias");
  add(epilogues[u32(kind.epilogue)]);
  const bool gates = kind.epilogue == Epilogue::gate || kind.epilogue == Epilogue::gated;
  if (gates && kind.gate != graph::Function::silu_gate) add(function_name(kind.gate));
  return text.empty() ? "plain" : text;
}

}  // namespace

OpCase matmul_case(const MatMulSpec& s, const gpu::Limits& limits, const gpu::Features& features, u32 seed) {
  const bool gemm = s.kernel == MatMulKernel::gemm, batch = s.kernel == MatMulKernel::batch;
  CHECK(gemm || batch || s.tokens == 1);
  const MatMulInput in(s, seed);
  const kernels::MatMul product{.kind = s.kind,
                                .weight = in.w.extent,
                                .rows = s.rows,
                                .cols = s.cols,
                                .padding = s.padding,
                                .x_base = x_base,
                                .x_stride = in.x_stride,
                                .y_base = y_base,
                                .y_stride = in.y_stride,
                                .bias_base = bias_base,
                                .eps = matmul_eps,
                                .candidate = s.candidate};
  OpCase c{.op = gemm    ? "gemm"
                 : batch ? "matvec-batch"
                         : "matvec",
           .format = std::string(s.kind.format->name),
           .variant = matmul_variant(s.kind)};
  c.shape = by(s.rows, s.cols) + (s.tokens > 1 ? " x " + std::to_string(s.tokens) : "");
  c.tolerance = matmul_tolerance(s);
  c.bytes = in.w.gpu.size();
  c.operations = 2 * u64(in.w.rows) * s.cols * s.tokens;
  kernels::MatMulOperands operands{.state = add_state(c, 0, s.tokens),
                                   .weight = add_operand(c, in.w.gpu),
                                   .x = add_operand(c, memory_of(in.x)),
                                   .norm = add_operand(c, memory_of(in.norm)),
                                   .bias = add_operand(c, memory_of(in.bias)),
                                   .y = add_operand(c, memory_of(in.y))};
  if (!in.partial.empty()) operands.partial = add_operand(c, in.partial);
  const auto add_steps = [&](const kernels::MatMul& by) {
    for (kernels::Launch& launch : kernels::lower(by, s.kernel, operands, limits, features))
      add_step(c, std::move(launch), s.tokens);
  };
  add_steps(product);
  for (const u32 other : s.others) {
    kernels::MatMul same = product;
    same.candidate = other;
    add_steps(same);
  }
  if (s.candidate) {
    c.variant += " " + kernels::candidate_name(kernels::tuned(s.kernel), *s.candidate);
  } else if (c.steps[0].kernel.label.find("subgroup") != std::string::npos) {
    c.variant += "+subgroups";
  }
  if (s.answer) c.answers.push_back(matmul_answer(s, in, u32(operands.y)));
  return c;
}

OpCase embed_case(const formats::Format& format, u32 rows, u32 width, u32 seed, bool by_position) {
  constexpr u32 first_row = 40;  // of the part of the table that is bound
  const MadeUpMatrix w(format, rows, width, seed);
  const u32 stride = u32(align_up(width, 8)) + 4;
  std::vector<u32> tokens{
      first_row, first_row + rows - 1, first_row - 1, first_row + rows, first_row + rows / 2, first_row + rows / 2, 0,
      ~0u};
  const u32 position = first_row - 2;  // two before the part, some behind it
  if (by_position) tokens.assign(rows + 5, 0);
  const auto y = made_up_floats(tokens.size() * stride, seed + 100);

  OpCase c{.op = "embed", .format = std::string(format.name), .shape = by(rows, width), .tolerance = 1e-6};
  if (by_position) c.variant = "position";
  const u32 count = u32(tokens.size());
  const kernels::EmbedOperands operands{.state = add_state(c, position, count),
                                        .table = add_operand(c, w.gpu),
                                        .tokens = add_operand(c, memory_of(tokens)),
                                        .y = add_operand(c, memory_of(y))};
  add_step(c, kernels::lower(kernels::Embed{&format, w.extent, first_row, rows, width, stride, by_position}, operands),
           count);
  OpAnswer answer = unchanged(u32(operands.y), y);
  std::vector<double> row(align_up(width, 8));
  for (u32 t = 0; t < count; ++t) {
    const u32 number = by_position ? position + t : tokens[t];
    if (number < first_row || number >= first_row + rows) continue;
    cpu::decode_row(w.on_cpu(0, rows), number - first_row, row.data());
    for (u64 i = 0; i < row.size(); ++i) expect(answer, u64(t) * stride + i, row[i]);
  }
  c.answers.push_back(std::move(answer));
  return c;
}

// ---- Experts

namespace {

// Column `rows` of the slot's columns on, [tokens][slots · rows].
std::vector<double> expert_products(const ExpertMatMulSpec& s, const MadeUpMatrix& w, const MadeUpRows& x,
                                    const std::vector<float>& chosen, const std::vector<double>& bias) {
  const std::vector<double> in = x.reals();
  std::vector<double> out(u64(s.tokens) * s.slots * s.rows), row(align_up(s.cols, 8));
  for (u32 t = 0; t < s.tokens; ++t) {
    for (u32 slot = 0; slot < s.slots; ++slot) {
      const u32 matrix = s.chosen ? u32(chosen[t * s.slots + slot]) : slot;
      std::copy_n(&in[u64(t) * x.width + (s.own_x ? slot * s.cols : 0)], s.cols, row.data());
      cpu::matmul<double>(w.on_cpu(matrix * s.rows, s.rows), {row.data(), 1, s.cols, u32(row.size())},
                          s.bias ? &bias[matrix * s.rows] : nullptr,
                          {&out[(u64(t) * s.slots + slot) * s.rows], 1, s.rows, s.rows});
    }
  }
  return out;
}

}  // namespace

OpCase expert_matmul_case(const ExpertMatMulSpec& s, const gpu::Limits& limits, const gpu::Features& features,
                          u32 seed) {
  CHECK(s.chosen || s.matrices == s.slots);
  const MadeUpMatrix w(*s.format, s.matrices * s.rows, s.cols, seed);
  const auto bias = made_up_floats(u64(s.matrices) * s.rows, seed + 1);
  MadeUpRows x(s.own_x ? s.slots * s.cols : s.cols, s.tokens, seed + 2);
  for (u32 t = 0; t < s.tokens; ++t) {  // the padding of a value is zero
    float* row = &x.floats[x.columns.base + u64(t) * x.columns.stride];
    std::fill(row + x.width, row + align_up(x.width, 8), 0.0f);
  }
  std::vector<float> chosen;
  for (u32 i = 0; i < s.tokens * s.slots; ++i) chosen.push_back(float((i * 7 + i / 5 + seed) % s.matrices));

  const bool gemm = s.kernel == MatMulKernel::gemm, grouped = gemm && s.chosen;
  OpCase c{.op = "matmul-experts", .format = std::string(s.format->name)};
  c.shape = std::to_string(s.matrices) + " of " + by(s.rows, s.cols) + " x " + by(s.slots, s.tokens);
  c.variant = std::string(gemm ? "gemm+" : "") + (s.chosen ? "chosen" : "each") + (s.own_x ? "+own" : "") +
              (s.bias ? "+bias" : "");
  c.tolerance = sum_tolerance(s.cols);
  c.bytes = w.gpu.size() / s.matrices * s.slots;
  c.operations = 2 * u64(s.rows) * s.cols * s.slots * s.tokens;
  const kernels::Operand state = add_state(c, 0, s.tokens), x_operand = add_operand(c, memory_of(x.floats)),
                         chosen_operand = add_operand(c, memory_of(chosen)),
                         bias_operand = add_operand(c, memory_of(bias));
  const OutputRows y(c, s.slots * s.rows, s.tokens, seed + 3);
  const kernels::GroupExperts group{.experts = std::max(s.matrices, s.experts),
                                    .slots = s.slots,
                                    .tokens = s.tokens + 1,
                                    .chosen = {.base = 0, .stride = s.slots}};
  kernels::Operand choice = chosen_operand;
  if (grouped) {
    const std::vector<u32> before(kernels::expert_groups_bytes(group.tokens * s.slots, group.experts) / 4, 12345u);
    choice = add_operand(c, memory_of(before));
    add_step(c, kernels::lower(group, {state, chosen_operand, choice}), s.tokens);
  }
  for (u32 first = 0; first < s.matrices;) {
    const u32 count = first == 0 ? u32(ceil_div(s.matrices, 2)) : s.matrices - first;  // two parts
    kernels::ExpertMatMul part{.format = s.format,
                               .first_matrix = first,
                               .matrices = count,
                               .rows = s.rows,
                               .cols = s.cols,
                               .experts = group.experts,
                               .slots = s.slots,
                               .tokens = group.tokens,
                               .bias = s.bias,
                               .chosen = s.chosen,
                               .own_x = s.own_x,
                               .x = x.columns,
                               .chosen_at = grouped ? kernels::chosen_in(group) : group.chosen,
                               .y = y.columns()};
    const kernels::Operand weight = add_operand(c, w.part(first * s.rows, count * s.rows, part.weight));
    add_step(
        c,
        kernels::lower(part, s.kernel, {state, weight, x_operand, choice, bias_operand, y.operand}, limits, features),
        s.tokens);
    first += count;
  }
  if (c.steps.back().kernel.label.find("subgroup") != std::string::npos) c.variant += "+subgroups";
  if (s.answer) c.answers.push_back(y.answer(expert_products(s, w, x, chosen, doubles(bias))));
  return c;
}

}  // namespace pronk::engine
