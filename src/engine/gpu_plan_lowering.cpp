#include "engine/gpu_plan_lowering.h"

#include <algorithm>
#include <map>
#include <set>

#include "kernels/fold_control_flow.h"

namespace pronk::engine {
namespace {

using graph::ValueId;
using graph::WeightId;
using kernels::Launch;
using kernels::MatMulKernel;
using kernels::Operand;

// One program: the same operations for one token or for the chunks of a prompt.
class Lowering {
 public:
  struct Step {
    u32 rows;  // most tokens
    Range state, tokens;
    bool prefill;
  };

  Lowering(const graph::Graph& graph, const graph::FusedGraph& fused, const gpu::Limits& limits,
           const gpu::Features& features, BufferLayout& layout, GpuPlan& plan, Draft& draft,
           std::vector<DraftDispatch>& program, const Step& step)
      : graph_(graph),
        fused_(fused),
        limits_(limits),
        features_(features),
        layout_(layout),
        plan_(plan),
        draft_(draft),
        program_(program),
        step_(step) {}

  void add_graph() {
    // Without an output nothing after the last write to a state is needed.
    std::size_t end = fused_.nodes.size();
    while (end > 0 && step_.prefill && !plan_.options.all_logits && !graph::writes_state(fused_.nodes[end - 1].op))
      --end;
    for (std::size_t i = 0; i < end; ++i) std::visit([&](const auto& op) { add(op); }, fused_.nodes[i].op);
  }

  // Of the program that holds it.
  Activation output() { return activation(graph_.output); }

  void add_sampling(std::vector<DraftDispatch>& adjusted_blocks) {
    const u32 vocab = plan_.output_width;
    const kernels::SamplingOperands operands{
        .params = bind(plan_.sample_params),
        .state = bind_state(),
        .logits = bind(*draft_.output),
        .blocks = bind(new_activation(align_up(kernels::sample_blocks_bytes(vocab), 16))),
        .candidates = bind(new_activation(kernels::sample_candidates_bytes(vocab))),
        .end_tokens = bind(plan_.end_tokens),
        .next_token = bind(plan_.next_token),
        .sampled = bind(plan_.sampled)};
    const kernels::AdjustOperands adjust{.params = bind(plan_.adjust_params),
                                         .fed = bind(plan_.next_token),
                                         .mask = bind(plan_.mask),
                                         .adjustments = bind(plan_.adjustments)};
    emit(std::move(kernels::lower_sampling(vocab, true, operands, adjust).front()));
    adjusted_blocks.swap(program_);
    for (Launch& launch : kernels::lower_sampling(vocab, false, operands)) emit(std::move(launch));
  }

 private:
  // ---- Operands

  Operand bind(const Location& location) {
    operands_.push_back(location);
    return Operand(operands_.size() - 1);
  }
  // An optional vector or value of a kernel.
  Operand bind_vector(WeightId id) {
    return bind(id == WeightId::none ? layout_.nothing() : plan_.weights.vector({id}).range);
  }
  Operand bind_value(ValueId id) { return bind(id == ValueId::none ? Location(layout_.nothing()) : activation(id)); }
  Operand bind_state() { return bind(step_.state); }

  u32 width(ValueId id) const { return fused_.values[u32(id)].width; }
  u32 floats(WeightId id) const { return id == WeightId::none ? 0 : graph_[id].rows * graph_[id].cols; }
  // Of a value that is read, or none.
  kernels::Columns columns(ValueId id) const {
    if (id == ValueId::none) return {};
    return {.base = graph::slice_of(fused_.values, id).column, .stride = stride_of(id)};
  }
  // Of one that is made: the last columns of its memory are followed by padding, which stays zero.
  kernels::Columns made_columns(ValueId id) const {
    const graph::Slice at = graph::slice_of(fused_.values, id);
    const u32 end = at.column + width(id);
    return {.base = at.column, .stride = stride_of(id), .padding = end == width(at.root) ? stride_of(id) - end : 0};
  }

  Activation new_activation(u64 bytes) {
    draft_.activation_bytes.push_back(bytes);
    return Activation(draft_.activation_bytes.size() - 1);
  }
  // Memory of the value that an id lives in.
  Activation activation(ValueId id) {
    const ValueId root = graph::slice_of(fused_.values, id).root;
    const auto [at, added] = activations_.try_emplace(root);
    if (added) at->second = new_activation(u64(step_.rows) * stride_of(root) * sizeof(float));
    return at->second;
  }
  u32 stride_of(ValueId id) const {
    return graph::row_stride(fused_.values[u32(graph::slice_of(fused_.values, id).root)].width);
  }

  // ---- Dispatches

  u32 pipeline(gpu::PipelineDesc desc) {
    for (u32 i = 0; i < plan_.pipelines.size(); ++i) {
      if (plan_.pipelines[i].label == desc.label) return i;
    }
    plan_.pipelines.push_back(kernels::folded(std::move(desc)));
    return u32(plan_.pipelines.size() - 1);
  }

  Kernel kernel(Launch& launch) { return {pipeline(std::move(launch.pipeline)), launch.grid, launch.scale}; }

  DraftDispatch& emit(Launch launch) {
    DraftDispatch dispatch{kernel(launch), {}, std::nullopt};
    if (!launch.params.empty()) dispatch.bindings.push_back(layout_.constant(launch.params));
    for (const Operand operand : launch.operands) dispatch.bindings.push_back(operands_[u32(operand)]);
    if (launch.table) {
      const std::span<const u32> words = launch.table->gpu_table();
      dispatch.bindings.push_back(layout_.constant({reinterpret_cast<const u8*>(words.data()), words.size_bytes()}));
    }
    program_.push_back(std::move(dispatch));
    return program_.back();
  }

  // ---- Operations

  void add(const graph::Embed& embed) {
    const Matrix& table = plan_.weights.matrix({embed.table});
    for (const MatrixPart& part : table.parts) {
      emit(kernels::lower(kernels::Embed{table.format, part.extent, part.first_row, part.rows, table.cols,
                                         stride_of(embed.out), embed.by_position},
                          {bind_state(), bind(part.range), bind(step_.tokens), bind_value(embed.out)}));
    }
  }

  void add(const graph::FusedMatMul& matmul) {
    const Matrix& matrix = plan_.weights.matrix(part_weights(matmul));
    const auto biases = part_biases(matmul);
    const Range bias = biases.empty() ? layout_.nothing() : plan_.weights.vector(biases).range;
    const u32 end = graph::slice_of(fused_.values, matmul.out).column + fused_.values[u32(matmul.out)].width;
    for (const MatrixPart& part : matrix.parts) {
      kernels::MatMul product = product_of(matmul, matrix, part, end);
      kernels::MatMulOperands operands{.state = bind_state(),
                                       .weight = bind(part.range),
                                       .x = bind_value(matmul.x),
                                       .norm = bind_vector(matmul.norm),
                                       .bias = bind(bias),
                                       .y = bind_value(matmul.out)};
      const auto lowered = [&](MatMulKernel each) {
        product.candidate = candidate_of(kernels::tuned(each), product.kind, matrix, part);
        if (const u64 bytes = partial_bytes(kernels::tuned(each), product))
          operands.partial = bind(new_activation(bytes));
        return kernels::lower(product, each, operands, limits_, features_);
      };
      const bool narrow = matrix.rows <= kernels::narrow_rows;  // cut matrices add up as whole ones do
      emit_matmul(lowered, narrow ? MatMulKernel::batch : MatMulKernel::gemm, MatMulKernel::batch);
    }
  }

  u32 candidate_of(kernels::TunedKernel kernel, const kernels::MatMulKind& kind, const Matrix& matrix,
                   const MatrixPart& part) const {
    const std::string key = kernels::tuning_key(kernel, *kind.format, part.rows, matrix.cols);
    gpu::Features features = kernels::features_for(*kind.format, features_);
    if (plan_.options.activations == graph::Activations::f32)
      features.integer_dot_product = features.shader_f16 = false;
    const u32 candidate = planned_candidate(plan_.options, kernel, key, limits_, features);
    // Parts of a cut matrix take what the whole would.
    const bool room = has_room(kernel, candidate, kernels::weight_rows(kind, matrix.rows), step_.rows, limits_);
    return room ? candidate : kernels::default_candidate(kernel, features);
  }

  // Of what a GEMM that splits k leaves; else 0.
  u64 partial_bytes(kernels::TunedKernel kernel, const kernels::MatMul& product) const {
    const auto tile = kernels::gemm_tile(kernel, *product.candidate);
    if (!tile || tile->splits == 1) return 0;
    return kernels::gemm_partial_bytes(tile->splits, kernels::weight_rows(product.kind, product.rows), step_.rows);
  }

  // end: the column behind the last of the whole product.
  kernels::MatMul product_of(const graph::FusedMatMul& matmul, const Matrix& matrix, const MatrixPart& part, u32 end) {
    const graph::Slice x = graph::slice_of(fused_.values, matmul.x), y = graph::slice_of(fused_.values, matmul.out);
    const kernels::MatMulKind kind{matrix.format, matmul.norm != WeightId::none, !part_biases(matmul).empty(),
                                   matmul.epilogue, matmul.gate};
    kernels::MatMul product{.kind = kind,
                            .weight = part.extent,
                            .rows = part.rows,
                            .cols = matrix.cols,
                            .x_base = x.column,
                            .x_stride = stride_of(matmul.x),
                            .y_base = y.column + part.first_row,
                            .y_stride = stride_of(matmul.out),
                            .bias_base = part.first_row,
                            .eps = matmul.eps};
    // The last columns of a value are followed by its padding, which stays zero.
    const bool last = part.first_row + part.rows == matrix.rows && end == fused_.values[u32(y.root)].width;
    if (last) product.padding = product.y_stride - end;
    return product;
  }

  void add(const graph::MatMul& matmul) {
    const u32 rows = expert_rows(fused_, matmul);
    const Matrix& matrix = plan_.weights.matrix({matmul.weight}, rows);
    const kernels::GroupExperts group{
        .experts = matrix.rows / rows, .slots = matmul.slots, .tokens = step_.rows, .chosen = columns(matmul.chosen)};
    const bool chosen = matmul.chosen != ValueId::none, grouped = chosen && step_.prefill;
    const Operand choice = grouped ? bind(groups_of(matmul.chosen, group)) : bind_value(matmul.chosen);
    for (const MatrixPart& part : matrix.parts) {
      const kernels::ExpertMatMul product{.format = matrix.format,
                                          .weight = part.extent,
                                          .first_matrix = part.first_row / rows,
                                          .matrices = part.rows / rows,
                                          .rows = rows,
                                          .cols = matrix.cols,
                                          .experts = group.experts,
                                          .slots = matmul.slots,
                                          .tokens = step_.rows,
                                          .bias = matmul.bias != WeightId::none,
                                          .chosen = chosen,
                                          .own_x = width(matmul.x) != matrix.cols,
                                          .x = columns(matmul.x),
                                          .chosen_at = grouped ? kernels::chosen_in(group) : group.chosen,
                                          .y = made_columns(matmul.out)};
      const kernels::ExpertMatMulOperands operands{.state = bind_state(),
                                                   .weight = bind(part.range),
                                                   .x = bind_value(matmul.x),
                                                   .chosen = choice,
                                                   .bias = bind_vector(matmul.bias),
                                                   .y = bind_value(matmul.out)};
      const auto lowered = [&](MatMulKernel each) {
        std::vector<Launch> launches;
        launches.push_back(kernels::lower(product, each, operands, limits_, features_));
        return launches;
      };
      emit_matmul(lowered, MatMulKernel::gemm, MatMulKernel::matvec);
    }
  }

  // What GroupExperts makes of the experts that are chosen, once for all products with them.
  Activation groups_of(ValueId chosen, const kernels::GroupExperts& group) {
    const auto [at, added] = groups_.try_emplace({chosen, group.experts});
    if (added) {
      at->second = new_activation(kernels::expert_groups_bytes(group.tokens * group.slots, group.experts));
      emit(kernels::lower(group, {bind_state(), bind_value(chosen), bind(at->second)}));
    }
    return at->second;
  }

  // A product of one token, or of a chunk: by `many`, or when it is short by `few`: another kernel of the same
  // dispatch, or a dispatch of its own where `many` is two.
  void emit_matmul(const auto& lowered, MatMulKernel many, MatMulKernel few) {
    std::vector<Launch> launches = lowered(step_.prefill ? many : MatMulKernel::matvec);
    const bool splits = launches.size() > 1;
    for (Launch& launch : launches) emit(std::move(launch)).tokens = splits ? Tokens::many : Tokens::any;
    if (!step_.prefill || many == few) return;
    Launch& batch = launches.front() = std::move(lowered(few).front());
    if (splits) {
      emit(std::move(batch)).tokens = Tokens::few;
    } else {
      program_.back().small_batch = kernel(batch);
    }
  }

  void add(const graph::Norm& norm) { add_norm(norm, ValueId::none, norm.out); }
  void add(const graph::NormAdd& sum) { add_norm(sum.norm, sum.residual, sum.out); }

  void add_norm(const graph::Norm& norm, ValueId residual, ValueId out) {
    emit(kernels::lower(kernels::Norm{.kind = norm.kind,
                                      .width = width(norm.x),
                                      .group = norm.group,
                                      .weight_width = floats(norm.weight),
                                      .bias_width = floats(norm.bias),
                                      .eps = norm.eps,
                                      .scale = norm.scale,
                                      .add = residual != ValueId::none,
                                      .x = columns(norm.x),
                                      .residual = columns(residual),
                                      .out = made_columns(out)},
                        {.state = bind_state(),
                         .x = bind_value(norm.x),
                         .weight = bind_vector(norm.weight),
                         .bias = bind_vector(norm.bias),
                         .residual = bind_value(residual),
                         .out = bind_value(out)}));
  }

  void add(const graph::Map& map) {
    const bool by_weight = map.weight != WeightId::none, by_value = map.b != ValueId::none;
    emit(kernels::lower(kernels::Map{.function = map.function,
                                     .width = width(map.a),
                                     .b_width = by_value ? width(map.b) : floats(map.weight),
                                     .p = map.p,
                                     .a = columns(map.a),
                                     .b = columns(map.b),
                                     .out = made_columns(map.out)},
                        {.state = bind_state(),
                         .a = bind_value(map.a),
                         .b = by_weight ? bind_vector(map.weight) : bind_value(map.b),
                         .out = bind_value(map.out)}));
  }

  void add(const graph::PositionScale& op) {
    emit(kernels::lower(kernels::PositionScale{.width = width(op.x),
                                               .scale = op.scale,
                                               .interval = op.interval,
                                               .x = columns(op.x),
                                               .out = made_columns(op.out)},
                        {bind_state(), bind_value(op.x), bind_value(op.out)}));
  }

  void add(const graph::Rope& rope) {
    const graph::RopeTable& table = graph_[rope.table];
    emit(kernels::lower(
        kernels::Rope{.pairs = table.pairs,
                      .width = width(rope.x),
                      .head = rope.head,
                      .first = rope.first,
                      .rotated = table.rotated(),
                      .x = columns(rope.x),
                      .out = made_columns(rope.out)},
        {bind_state(), bind(plan_.rope_tables[u32(rope.table)]), bind_value(rope.x), bind_value(rope.out)}));
  }

  void add(const graph::StoreKv& store) {
    const graph::KvState& state = graph_.kv(store.state);
    for (Launch& launch : kernels::lower(kernels::StoreKv{.heads = state.heads,
                                                          .key = state.key_width,
                                                          .value = state.value_width,
                                                          .values_in_keys = state.values_in_keys,
                                                          .kv = plan_.options.kv,
                                                          .capacity = layout_.capacity(state),
                                                          .k = columns(store.k),
                                                          .v = columns(store.v)},
                                         {.state = bind_state(),
                                          .k = bind_value(store.k),
                                          .v = bind_value(store.v),
                                          .k_cache = bind(layout_.keys(store.state)),
                                          .v_cache = bind(layout_.values(store.state))})) {
      emit(std::move(launch));
    }
  }

  void add(const graph::RotateStore& rotate) {
    const graph::KvState& state = graph_.kv(rotate.state);
    const bool rotates = rotate.table != graph::RopeId::none;
    emit(kernels::lower(kernels::RotateStore{.query_heads = rotate.heads,
                                             .kv_heads = state.heads,
                                             .head = state.key_width,
                                             .pairs = rotates ? graph_[rotate.table].pairs : graph::RopePairs::adjacent,
                                             .rotated = rotates ? graph_[rotate.table].rotated() : 0,
                                             .kv = plan_.options.kv,
                                             .q_norm = rotate.q_norm != WeightId::none,
                                             .k_norm = rotate.k_norm != WeightId::none,
                                             .eps = rotate.eps,
                                             .qkv = columns(rotate.qkv),
                                             .capacity = layout_.capacity(state)},
                        {.state = bind_state(),
                         .rope_table = bind(rotates ? plan_.rope_tables[u32(rotate.table)] : layout_.nothing()),
                         .q_norm = bind_vector(rotate.q_norm),
                         .k_norm = bind_vector(rotate.k_norm),
                         .qkv = bind_value(rotate.qkv),
                         .k_cache = bind(layout_.keys(rotate.state)),
                         .v_cache = bind(layout_.values(rotate.state))}));
    rotated_.insert(rotate.qkv);
  }

  void add(const graph::Attention& attention) {
    const graph::KvState& state = graph_.kv(attention.state);
    const kernels::HeadShape heads{attention.heads, state.heads, state.key_width, state.value_width,
                                   state.values_in_keys};
    const u64 partial_bytes =
        step_.prefill ? 16 : kernels::attention_partial_bytes(heads, partial_splits(heads, limits_));
    const kernels::Attention lowered{
        .heads = heads,
        .kv = plan_.options.kv,
        .scale = attention.scale,
        .soft_cap = attention.soft_cap,
        .window = attention.window,
        .causal = attention.causal,
        .sinks = attention.sinks != WeightId::none,
        .rotated = rotated_.contains(graph::slice_of(fused_.values, attention.q).root),
        .tile = planned_attention(plan_.options, heads, step_.rows, !step_.prefill, limits_, features_),
        .q = columns(attention.q),
        .out = made_columns(attention.out),
        .capacity = layout_.capacity(state)};
    const Operand q = bind_value(attention.q);
    const bool in_place = activation(attention.q) == activation(attention.out);
    const kernels::AttentionOperands operands{.state = bind_state(),
                                              .k_cache = bind(layout_.keys(attention.state)),
                                              .v_cache = bind(layout_.values(attention.state)),
                                              .q = q,
                                              .sinks = bind_vector(attention.sinks),
                                              .partial = bind(new_activation(partial_bytes)),
                                              .out = in_place ? q : bind_value(attention.out)};
    for (Launch& launch : kernels::lower(lowered, operands)) emit(std::move(launch));
  }

  void add(const graph::TakeColumns& take) {
    emit(kernels::lower(kernels::TakeColumns{.groups = width(take.x) / take.group,
                                             .group = take.group,
                                             .first = take.first,
                                             .width = take.width,
                                             .x = columns(take.x),
                                             .out = made_columns(take.out)},
                        {bind_state(), bind_value(take.x), bind_value(take.out)}));
  }

  void add(const graph::JoinColumns& join) {
    emit(kernels::lower(kernels::JoinColumns{.groups = width(join.a) / join.group_a,
                                             .group_a = join.group_a,
                                             .group_b = join.group_b,
                                             .a = columns(join.a),
                                             .b = columns(join.b),
                                             .out = made_columns(join.out)},
                        {bind_state(), bind_value(join.a), bind_value(join.b), bind_value(join.out)}));
  }

  void add(const graph::Route& route) {
    emit(kernels::lower(kernels::Route{.gating = route.gating,
                                       .experts = width(route.logits),
                                       .used = route.used,
                                       .groups = route.groups,
                                       .groups_used = route.groups_used,
                                       .by_best = route.by_best,
                                       .bias = route.bias != WeightId::none,
                                       .expert_scale = route.expert_scale != WeightId::none,
                                       .normalize = route.normalize,
                                       .scale = route.scale,
                                       .logits = columns(route.logits),
                                       .chosen = made_columns(route.chosen),
                                       .weights = made_columns(route.weights)},
                        {.state = bind_state(),
                         .logits = bind_value(route.logits),
                         .bias = bind_vector(route.bias),
                         .expert_scale = bind_vector(route.expert_scale),
                         .chosen = bind_value(route.chosen),
                         .weights = bind_value(route.weights)}));
  }

  void add(const graph::WeightedSum& sum) {
    emit(kernels::lower(kernels::WeightedSum{.width = width(sum.out),
                                             .parts = width(sum.weights),
                                             .x = columns(sum.x),
                                             .weights = columns(sum.weights),
                                             .out = made_columns(sum.out)},
                        {bind_state(), bind_value(sum.x), bind_value(sum.weights), bind_value(sum.out)}));
  }

  void add(const graph::KeepLargest& keep) {
    emit(kernels::lower(
        kernels::KeepLargest{
            .width = width(keep.x), .deviations = keep.deviations, .x = columns(keep.x), .out = made_columns(keep.out)},
        {bind_state(), bind_value(keep.x), bind_value(keep.out)}));
  }

  // ---- Recurrences

  void add(const graph::Conv1d& conv) {
    emit(kernels::lower(kernels::Conv1d{.width = width(conv.x),
                                        .kernel = graph_[conv.weight].cols,
                                        .bias = conv.bias != WeightId::none,
                                        .x = columns(conv.x),
                                        .out = made_columns(conv.out)},
                        {.state = bind_state(),
                         .x = bind_value(conv.x),
                         .weight = bind_vector(conv.weight),
                         .bias = bind_vector(conv.bias),
                         .memory = bind(layout_.recurrent(conv.state)),
                         .out = bind_value(conv.out)}));
  }

  void add(const graph::DeltaRule& rule) {
    emit(kernels::lower(kernels::DeltaRule{.key_heads = rule.key_heads,
                                           .value_heads = rule.value_heads,
                                           .key = width(rule.k) / rule.key_heads,
                                           .value = width(rule.v) / rule.value_heads,
                                           .neighbours_share = rule.neighbours_share,
                                           .q = columns(rule.q),
                                           .k = columns(rule.k),
                                           .v = columns(rule.v),
                                           .decay = columns(rule.decay),
                                           .beta = columns(rule.beta),
                                           .out = made_columns(rule.out)},
                        {.state = bind_state(),
                         .q = bind_value(rule.q),
                         .k = bind_value(rule.k),
                         .v = bind_value(rule.v),
                         .decay = bind_value(rule.decay),
                         .beta = bind_value(rule.beta),
                         .memory = bind(layout_.recurrent(rule.state)),
                         .out = bind_value(rule.out)}));
  }

  void add(const graph::Scan& scan) {
    emit(kernels::lower(kernels::Scan{.heads = scan.heads,
                                      .groups = scan.groups,
                                      .width = width(scan.x) / scan.heads,
                                      .state = width(scan.b) / scan.groups,
                                      .a_of_state = floats(scan.a) != scan.heads,
                                      .x = columns(scan.x),
                                      .dt = columns(scan.dt),
                                      .b = columns(scan.b),
                                      .c = columns(scan.c),
                                      .out = made_columns(scan.out)},
                        {.state = bind_state(),
                         .x = bind_value(scan.x),
                         .dt = bind_value(scan.dt),
                         .b = bind_value(scan.b),
                         .c = bind_value(scan.c),
                         .a = bind_vector(scan.a),
                         .memory = bind(layout_.recurrent(scan.state)),
                         .out = bind_value(scan.out)}));
  }

  const graph::Graph& graph_;
  const graph::FusedGraph& fused_;
  const gpu::Limits& limits_;
  const gpu::Features& features_;
  BufferLayout& layout_;
  GpuPlan& plan_;
  Draft& draft_;
  std::vector<DraftDispatch>& program_;
  const Step step_;
  std::vector<Location> operands_;
  std::map<ValueId, Activation> activations_;
  std::map<std::pair<ValueId, u32>, Activation> groups_;  // of what is chosen of so many experts
  std::set<ValueId> rotated_;                             // values that a RotateStore has worked on
};

}  // namespace

u32 planned_candidate(const PlanOptions& options, kernels::TunedKernel kernel, const std::string& key,
                      const gpu::Limits& limits, const gpu::Features& features) {
  std::optional<u32> measured;
  if (options.tuning) measured = options.tuning->find(kernel, key, limits, features);
  return measured.value_or(kernels::default_candidate(kernel, features));
}

bool has_room(kernels::TunedKernel kernel, u32 candidate, u32 weight_rows, u32 tokens, const gpu::Limits& limits) {
  const auto tile = kernels::gemm_tile(kernel, candidate);
  if (!tile || tile->splits == 1) return true;
  return u64(tile->splits) * weight_rows * tokens <= kernels::most_partial_sums &&
         kernels::gemm_partial_bytes(tile->splits, weight_rows, tokens) <= limits.max_storage_buffer_binding_size;
}

kernels::AttentionTile planned_attention(const PlanOptions& options, const kernels::HeadShape& heads, u32 tokens,
                                         bool decode, const gpu::Limits& limits, const gpu::Features& features) {
  const auto kernel = decode ? kernels::TunedKernel::attention_decode : kernels::TunedKernel::attention_prefill;
  const std::string key = kernels::tuning_key(kernel, heads, options.kv);
  const u32 candidate = planned_candidate(options, kernel, key, limits, features);
  const kernels::AttentionTile tile = kernels::attention_tile(heads, tokens, decode, candidate);
  if (!decode || tile.splits <= partial_splits(heads, limits)) return tile;
  return kernels::attention_tile(heads, tokens, decode, features);
}

u32 partial_splits(const kernels::HeadShape& heads, const gpu::Limits& limits) {
  u32 splits = kernels::attention_tile(heads, 1, true, 0).splits;
  while (splits < kernels::most_splits &&
         kernels::attention_partial_bytes(heads, 2 * splits) <= limits.max_storage_buffer_binding_size)
    splits *= 2;
  return splits;
}

Draft lower_graph(const graph::Graph& graph, const graph::FusedGraph& fused, const gpu::Limits& limits,
                  const gpu::Features& features, BufferLayout& layout, GpuPlan& plan) {
  Draft draft;
  const auto lowering = [&](std::vector<DraftDispatch>& program, const Lowering::Step& step) {
    return Lowering(graph, fused, limits, features, layout, plan, draft, program, step);
  };
  Lowering prefill = lowering(draft.prefill, {plan.options.chunk, plan.prefill_state, plan.prefill_tokens, true});
  prefill.add_graph();
  if (plan.options.all_logits) draft.all_outputs = prefill.output();
  if (!graph.causal()) return draft;
  const Lowering::Step one_token{1, plan.decode_state, plan.next_token, false};
  Lowering decode = lowering(draft.decode, one_token);
  decode.add_graph();
  draft.output = decode.output();
  if (plan.options.hidden) return draft;
  lowering(draft.sampling, one_token).add_sampling(draft.adjusted_blocks);
  return draft;
}

}  // namespace pronk::engine
