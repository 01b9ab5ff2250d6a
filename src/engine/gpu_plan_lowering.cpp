#include "engine/gpu_plan_lowering.h"

#include <map>

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
        heads_(graph.heads),
        fused_(fused),
        limits_(limits),
        features_(features),
        layout_(layout),
        plan_(plan),
        draft_(draft),
        program_(program),
        step_(step) {}

  void add_graph() {
    // Without logits nothing after the last write to the cache is needed.
    std::size_t end = fused_.nodes.size();
    while (step_.prefill && !plan_.options.all_logits &&
           !std::holds_alternative<graph::RotateStore>(fused_.nodes[end - 1].op))
      --end;
    for (std::size_t i = 0; i < end; ++i) std::visit([&](const auto& op) { add(op); }, fused_.nodes[i].op);
  }

  // Of the program that holds it.
  Activation logits() { return activation(graph_.logits); }

  void add_sampling() {
    const u32 vocab = fused_.values[u32(graph_.logits)].width;
    const kernels::SamplingOperands operands{
        .params = bind(plan_.sample_params),
        .state = bind(step_.state),
        .logits = bind(draft_.logits),
        .blocks = bind(new_activation(align_up(kernels::sample_blocks_bytes(vocab), 16))),
        .candidates = bind(new_activation(kernels::sample_candidates_bytes(vocab))),
        .end_tokens = bind(plan_.end_tokens),
        .next_token = bind(plan_.next_token),
        .sampled = bind(plan_.sampled)};
    for (Launch& launch : kernels::lower_sampling(vocab, false, operands)) emit(std::move(launch));
  }

 private:
  // ---- Operands

  Operand bind(const Location& location) {
    operands_.push_back(location);
    return Operand(operands_.size() - 1);
  }
  // An optional vector of a kernel.
  Operand bind_vector(WeightId id) {
    return bind(id == WeightId::none ? layout_.nothing() : plan_.weights.vector({id}).range);
  }
  Operand bind_value(ValueId id) { return bind(activation(id)); }

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
    plan_.pipelines.push_back(std::move(desc));
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
      emit(kernels::lower(
          kernels::Embed{table.format, part.extent, part.first_row, part.rows, table.cols, stride_of(embed.out)},
          {bind(step_.state), bind(part.range), bind(step_.tokens), bind_value(embed.out)}));
    }
  }

  void add(const graph::FusedMatMul& matmul) {
    const Matrix& matrix = plan_.weights.matrix(part_weights(matmul));
    const auto biases = part_biases(matmul);
    const Range bias = biases.empty() ? layout_.nothing() : plan_.weights.vector(biases).range;
    const u32 end = graph::slice_of(fused_.values, matmul.out).column + fused_.values[u32(matmul.out)].width;
    for (const MatrixPart& part : matrix.parts) {
      const kernels::MatMul product = product_of(matmul, matrix, part, end);
      const kernels::MatMulOperands operands{.state = bind(step_.state),
                                             .weight = bind(part.range),
                                             .x = bind_value(matmul.x),
                                             .norm = bind_vector(matmul.norm),
                                             .bias = bind(bias),
                                             .y = bind_value(matmul.out)};
      const auto lowered = [&](MatMulKernel kernel) {
        return kernels::lower(product, kernel, operands, limits_, features_);
      };
      DraftDispatch& dispatch = emit(lowered(step_.prefill ? MatMulKernel::gemm : MatMulKernel::matvec));
      if (!step_.prefill) continue;
      Launch batch = lowered(MatMulKernel::batch);
      dispatch.small_batch = kernel(batch);
    }
  }

  // end: the column behind the last of the whole product.
  kernels::MatMul product_of(const graph::FusedMatMul& matmul, const Matrix& matrix, const MatrixPart& part, u32 end) {
    const graph::Slice x = graph::slice_of(fused_.values, matmul.x), y = graph::slice_of(fused_.values, matmul.out);
    const kernels::MatMulKind kind{matrix.format, matmul.norm != WeightId::none, !part_biases(matmul).empty(),
                                   matmul.epilogue};
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

  void add(const graph::RotateStore& rotate) {
    emit(kernels::lower(kernels::RotateStore{.heads = heads_,
                                             .kv = plan_.options.kv,
                                             .q_norm = rotate.q_norm != WeightId::none,
                                             .k_norm = rotate.k_norm != WeightId::none,
                                             .eps = rotate.eps,
                                             .stride = stride_of(rotate.qkv),
                                             .context = plan_.options.context},
                        {.state = bind(step_.state),
                         .rope_table = bind(plan_.rope_table),
                         .q_norm = bind_vector(rotate.q_norm),
                         .k_norm = bind_vector(rotate.k_norm),
                         .qkv = bind_value(rotate.qkv),
                         .k_cache = bind(layout_.keys(rotate.layer)),
                         .v_cache = bind(layout_.values(rotate.layer))}));
  }

  void add(const graph::Attention& attention) {
    const u32 splits = step_.prefill ? 1 : kernels::attention_splits(heads_);
    const u64 partial_bytes = step_.prefill ? 16 : kernels::attention_partial_bytes(heads_, splits);
    const kernels::Attention lowered{.heads = heads_,
                                     .kv = plan_.options.kv,
                                     .vectors = kernels::attention_vectors(heads_, step_.rows),
                                     .splits = splits,
                                     .stride = stride_of(attention.q),
                                     .context = plan_.options.context};
    const kernels::AttentionOperands operands{.state = bind(step_.state),
                                              .k_cache = bind(layout_.keys(attention.layer)),
                                              .v_cache = bind(layout_.values(attention.layer)),
                                              .q = bind_value(attention.q),
                                              .partial = bind(new_activation(partial_bytes))};
    for (Launch& launch : kernels::lower(lowered, operands)) emit(std::move(launch));
  }

  const graph::Graph& graph_;
  const graph::Heads& heads_;
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
};

}  // namespace

Draft lower_graph(const graph::Graph& graph, const graph::FusedGraph& fused, const gpu::Limits& limits,
                  const gpu::Features& features, BufferLayout& layout, GpuPlan& plan) {
  Draft draft;
  const auto lowering = [&](std::vector<DraftDispatch>& program, const Lowering::Step& step) {
    return Lowering(graph, fused, limits, features, layout, plan, draft, program, step);
  };
  Lowering prefill = lowering(draft.prefill, {plan.options.chunk, plan.prefill_state, plan.prefill_tokens, true});
  prefill.add_graph();
  if (plan.options.all_logits) draft.all_logits = prefill.logits();
  const Lowering::Step one_token{1, plan.decode_state, plan.next_token, false};
  Lowering decode = lowering(draft.decode, one_token);
  decode.add_graph();
  draft.logits = decode.logits();
  lowering(draft.sampling, one_token).add_sampling();
  return draft;
}

}  // namespace pronk::engine
