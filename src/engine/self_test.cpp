#include "engine/self_test.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <vector>

#include "engine/gpu_plan_lowering.h"

namespace pronk::engine {
namespace {

using graph::WeightId;

// Small, with ragged edges, and more than one round of every loop and tile.
constexpr u32 rows = 70, least_cols = 300, gemm_rows = 134, gemm_tokens = 68, batch_tokens = 11, prompt_tokens = 70,
              few_tokens = 3, vocab = 2500;

class Cases {
 public:
  Cases(const models::Model& model, const GpuPlan& plan, const gpu::Limits& limits, const gpu::Features& features)
      : graph_(model.graph), plan_(plan), limits_(limits), features_(features) {}

  std::vector<OpCase> make() {
    auto fused = graph::fuse(graph_);
    CHECK(fused.has_value());  // the plan was made from it
    fused_ = std::move(*fused);
    for (const graph::FusedNode& node : fused_.nodes) std::visit([&](const auto& op) { add(op); }, node.op);
    for (const graph::SamplingParams& sampling :
         {graph::SamplingParams{}, {.temperature = 0.8f, .top_k = 40, .top_p = 0.9f, .seed = 1}}) {
      push(sampling_case(vocab, sampling, 1));
    }
    for (const bool masked : {false, true}) push(adjust_case(vocab, masked, 1));
    return std::move(cases_);
  }

 private:
  bool planned(const gpu::PipelineDesc& kernel) const {
    const auto same = [&](const gpu::PipelineDesc& each) { return each.label == kernel.label; };
    return std::any_of(plan_.pipelines.begin(), plan_.pipelines.end(), same);
  }

  // False when the plan lacks a kernel of the case: then it is not one of the plan's.
  bool push(OpCase made) {
    for (const OpStep& step : made.steps) {
      if (!planned(step.kernel)) return false;
    }
    cases_.push_back(std::move(made));
    return true;
  }

  // Whether operations with these kernels come for the first time: what their texts depend on.
  template <class Op>
  bool fresh(const Op&, std::initializer_list<u32> constants) {
    return seen_.insert({u32(graph::FusedOp(Op{}).index()), constants}).second;
  }

  static u32 cols(const formats::Format& format) { return u32(align_up(least_cols, format.block_weights)); }
  u32 width(graph::ValueId id) const { return id == graph::ValueId::none ? 0 : fused_.values[u32(id)].width; }
  u32 floats(WeightId id) const { return id == WeightId::none ? 0 : graph_[id].rows * graph_[id].cols; }
  // Tells formats apart.
  u32 format_of(WeightId id) const { return u32(reinterpret_cast<std::uintptr_t>(graph_[id].format)); }

  void add(const graph::Embed& op) {
    const formats::Format& format = *graph_[op.table].format;
    if (fresh(op, {format_of(op.table), op.by_position})) push(embed_case(format, 5, cols(format), 1, op.by_position));
  }

  void add(const graph::FusedMatMul& op) {
    const WeightId weight = op.parts[0].weight;
    const formats::Format& format = *graph_[weight].format;
    const bool odd_units = kernels::has_odd_units(format, graph_[weight].cols);
    const kernels::MatMulKind kind{&format,  op.norm != WeightId::none, !part_biases(op).empty(), op.epilogue, op.gate,
                                   odd_units};
    const bool gates = op.epilogue == graph::Epilogue::gate || op.epilogue == graph::Epilogue::gated;
    if (!fresh(op, {format_of(weight), kind.norm, kind.bias, u32(kind.epilogue), gates ? u32(op.gate) : 0, odd_units}))
      return;
    for (const auto& [kernel, tokens] : {std::pair{MatMulKernel::matvec, 1u},
                                         {MatMulKernel::batch, batch_tokens},
                                         {MatMulKernel::gemm, gemm_tokens}}) {
      const u32 first = kernels::default_candidate(kernels::tuned(kernel), features_);
      // Without measured choices there is but one.
      const u32 end = plan_.options.tuning ? kernels::candidate_count(kernels::tuned(kernel)) : first + 1;
      for (u32 candidate = plan_.options.tuning ? 0 : first; candidate < end; ++candidate) {
        if (!kernels::runs(kernels::tuned(kernel), candidate, limits_, kernels::features_for(*kind.format, features_)))
          continue;
        if (!planned(kernels::matmul_pipeline(kernel, kind, candidate))) continue;
        const MatMulSpec spec{.kernel = kernel,
                              .kind = kind,
                              .rows = kernel == MatMulKernel::gemm ? gemm_rows : rows,
                              .cols = cols(format) + (odd_units ? 8 : 0),
                              .tokens = tokens,
                              .padding = 2,
                              .candidate = candidate};
        push(matmul_case(spec, limits_, features_, u32(cases_.size())));
      }
    }
  }

  void add(const graph::MatMul& op) {
    ExpertMatMulSpec spec{.format = graph_[op.weight].format,
                          .matrices = 4,
                          .rows = rows,
                          .cols = cols(*graph_[op.weight].format),
                          .slots = 4,
                          .tokens = few_tokens,
                          .bias = op.bias != WeightId::none,
                          .chosen = op.chosen != graph::ValueId::none,
                          .own_x = width(op.x) != graph_[op.weight].cols};
    if (!fresh(op, {format_of(op.weight), spec.bias, spec.chosen, spec.own_x})) return;
    push(expert_matmul_case(spec, limits_, features_, 1));
    if (!planned(kernels::expert_gemm(*spec.format, spec.chosen, spec.bias))) return;
    spec.experts = graph_[op.weight].rows / (width(op.out) / op.slots);
    spec.kernel = MatMulKernel::gemm;
    spec.rows = gemm_rows;
    spec.tokens = gemm_tokens;
    push(expert_matmul_case(spec, limits_, features_, 2));
  }

  // ---- Rows: of some groups that are as the model's

  void add(const graph::Norm& op) { add_norm(op, false); }
  void add(const graph::NormAdd& op) { add_norm(op.norm, true); }
  void add_norm(const graph::Norm& op, bool residual) {
    const bool weight = op.weight != WeightId::none, bias = op.bias != WeightId::none;
    if (!fresh(op, {u32(op.kind), weight, bias, residual})) return;
    const u32 group = std::min(op.group, least_cols), groups = std::min(width(op.x) / op.group, 3u);
    const auto length = [&](WeightId id) {
      return floats(id) == op.group ? group : floats(id) == 0 ? 0 : group * groups;
    };
    push(norm_case({.kind = op.kind,
                    .width = group * groups,
                    .group = group,
                    .weight_width = length(op.weight),
                    .bias_width = length(op.bias),
                    .eps = op.eps,
                    .scale = op.scale,
                    .add = residual},
                   few_tokens, 1));
  }

  void add(const graph::Map& op) {
    const bool two = graph::takes_two(op.function), vector = op.weight != WeightId::none;
    if (!fresh(op, {u32(op.function)})) return;
    const u32 b_width = vector ? floats(op.weight) : width(op.b);
    const bool four = op.function == graph::Function::learned_xielu;
    const u32 shared = two && !four ? std::min(width(op.a) / b_width, 3u) : 1, each = std::min(width(op.a), rows);
    push(map_case({.function = op.function,
                   .width = shared * each,
                   .b_width = four  ? 4
                              : two ? each
                                    : 0,
                   .p = op.p},
                  vector, few_tokens, 1));
  }

  void add(const graph::PositionScale& op) {
    if (fresh(op, {}))
      push(position_scale_case({.width = rows, .scale = op.scale, .interval = std::min(op.interval, 7u)}, 5, few_tokens,
                               1));
  }

  void add(const graph::Rope& op) {
    const graph::RopeTable& table = graph_[op.table];
    if (!fresh(op, {u32(table.pairs), table.rotated()})) return;
    push(rope_case(
        {.pairs = table.pairs, .width = 2 * op.head, .head = op.head, .first = op.first, .rotated = table.rotated()},
        100, few_tokens, 1));
  }

  void add(const graph::TakeColumns& op) {
    if (!fresh(op, {})) return;
    push(take_columns_case(
        {.groups = std::min(width(op.x) / op.group, 3u), .group = op.group, .first = op.first, .width = op.width},
        few_tokens, 1));
  }
  void add(const graph::JoinColumns& op) {
    if (!fresh(op, {})) return;
    push(join_columns_case(
        {.groups = std::min(width(op.a) / op.group_a, 3u), .group_a = op.group_a, .group_b = op.group_b}, few_tokens,
        1));
  }

  void add(const graph::Route& op) {
    const u32 experts = width(op.logits);
    const bool bias = op.bias != WeightId::none, scaled = op.expert_scale != WeightId::none;
    if (!fresh(op, {experts, op.groups, op.by_best, u32(op.gating), bias, scaled, op.normalize})) return;
    push(route_case({.gating = op.gating,
                     .experts = experts,
                     .used = op.used,
                     .groups = op.groups,
                     .groups_used = op.groups_used,
                     .by_best = op.by_best,
                     .bias = bias,
                     .expert_scale = scaled,
                     .normalize = op.normalize,
                     .scale = op.scale},
                    few_tokens, 1));
  }
  void add(const graph::WeightedSum& op) {
    if (fresh(op, {})) push(weighted_sum_case({.width = rows, .parts = width(op.weights)}, few_tokens, 1));
  }
  void add(const graph::KeepLargest& op) {
    if (fresh(op, {})) push(keep_largest_case({.width = least_cols, .deviations = op.deviations}, few_tokens, 1));
  }

  // ---- Recurrences

  void add(const graph::Conv1d& op) {
    const u32 kernel = graph_[op.weight].cols;
    const bool bias = op.bias != WeightId::none;
    if (fresh(op, {kernel, bias})) push(conv1d_case({.width = rows, .kernel = kernel, .bias = bias}, few_tokens, 1));
  }
  void add(const graph::DeltaRule& op) {
    const u32 key = width(op.k) / op.key_heads, key_heads = std::min(op.key_heads, 2u);
    if (!fresh(op, {key, op.neighbours_share})) return;
    push(delta_rule_case({.key_heads = key_heads,
                          .value_heads = op.value_heads / op.key_heads * key_heads,
                          .key = key,
                          .value = width(op.v) / op.value_heads,
                          .neighbours_share = op.neighbours_share},
                         few_tokens, 1));
  }
  void add(const graph::Scan& op) {
    const u32 state = width(op.b) / op.groups, groups = std::min(op.groups, 2u);
    const bool a_of_state = floats(op.a) != op.heads;
    if (!fresh(op, {state, a_of_state})) return;
    push(scan_case({.heads = groups * std::min(op.heads / op.groups, 3u),
                    .groups = groups,
                    .width = width(op.x) / op.heads,
                    .state = state,
                    .a_of_state = a_of_state},
                   few_tokens, 1));
  }

  // ---- Attention, with what it reads

  void add(const graph::StoreKv&) {}
  void add(const graph::RotateStore& op) { rotations_[graph::slice_of(fused_.values, op.qkv).root] = &op; }

  // The model's own heads decide on tiles and splits; two KV heads are enough.
  void add(const graph::Attention& op) {
    const graph::KvState& state = graph_.kv(op.state);
    AttentionSpec spec{.heads = {op.heads, state.heads, state.key_width, state.value_width, state.values_in_keys},
                       .kv = plan_.options.kv,
                       .scale = 0.25f / std::sqrt(float(state.key_width)),
                       .soft_cap = op.soft_cap,
                       .window = std::min(op.window, prompt_tokens / 4),
                       .causal = op.causal,
                       .sinks = op.sinks != WeightId::none};
    const auto rotation = rotations_.find(graph::slice_of(fused_.values, op.q).root);
    spec.fused = rotation != rotations_.end();
    if (spec.fused) {
      const graph::RotateStore& rotate = *rotation->second;
      if (rotate.table != graph::RopeId::none) {
        spec.rotated = graph_[rotate.table].rotated();
        spec.pairs = graph_[rotate.table].pairs;
      }
      spec.q_norm = rotate.q_norm != WeightId::none, spec.k_norm = rotate.k_norm != WeightId::none;
    }
    spec.prefill_tile = planned_attention(plan_.options, spec.heads, plan_.options.chunk, false, limits_, features_);
    spec.decode_tile = planned_attention(plan_.options, spec.heads, 1, true, limits_, features_);
    if (!fresh(op, {spec.heads.key, spec.heads.value, spec.heads.values_in_keys, spec.soft_cap != 0, spec.window != 0,
                    spec.causal, spec.sinks, spec.fused, spec.rotated, u32(spec.pairs), spec.q_norm, spec.k_norm,
                    spec.prefill_tile.threads, spec.prefill_tile.vectors, spec.decode_tile.threads,
                    spec.decode_tile.vectors, spec.decode_tile.splits}))
      return;
    const u32 group = spec.heads.query / spec.heads.kv;
    spec.heads.kv = std::min(spec.heads.kv, 2u);
    spec.heads.query = group * spec.heads.kv;
    spec.decode = op.causal;
    spec.chunks = op.causal ? 2 : 1;
    spec.tokens = prompt_tokens / spec.chunks;
    if (push(attention_case(spec, 1))) return;
    spec.attend = false;  // as the last layer does
    push(attention_case(spec, 1));
  }

  const graph::Graph& graph_;
  const GpuPlan& plan_;
  const gpu::Limits& limits_;
  const gpu::Features& features_;
  graph::FusedGraph fused_;
  std::vector<OpCase> cases_;
  std::set<std::pair<u32, std::vector<u32>>> seen_;                // operations, by kind
  std::map<graph::ValueId, const graph::RotateStore*> rotations_;  // by the value they work on
};

std::string adapter_name(const gpu::AdapterInfo& info) {
  std::string name;
  for (const std::string* part : {&info.vendor, &info.architecture, &info.device, &info.description}) {
    if (!part->empty()) name += (name.empty() ? "" : " ") + *part;
  }
  return name.empty() ? "of unknown name" : name;
}

}  // namespace

std::vector<OpCase> self_test_cases(const models::Model& model, const GpuPlan& plan, const gpu::Limits& limits,
                                    const gpu::Features& features) {
  return Cases(model, plan, limits, features).make();
}

Status self_test_verdict(const OpRun& run, const gpu::AdapterInfo& adapter) {
  double furthest = 1;
  OpResult worst;
  for (std::size_t i = 0; i < run.cases().size(); ++i) {
    const OpResult result = run.result(i);
    // Sampling is all or nothing, without a tolerance.
    const double tolerance = std::max(run.cases()[i].tolerance, 1e-30), ratio = result.error / tolerance;
    if (ratio <= furthest) continue;
    furthest = ratio;
    worst = result;
  }
  if (furthest <= 1) return {};
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.1e", worst.error);  // to_chars() would add its tables to the WASM module
  return fail(ErrorCode::wrong_gpu, "this GPU computes wrongly: kernel '" + worst.kernels + "' is off by " + digits +
                                        " (adapter " + adapter_name(adapter) +
                                        "); another driver or browser may do better, the CPU works");
}

}  // namespace pronk::engine
