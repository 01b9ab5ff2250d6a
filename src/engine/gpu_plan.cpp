#include "engine/gpu_plan.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "base/units.h"
#include "graph/memory_plan.h"

namespace pronk::engine {
namespace {

using gpu::MemoryKind;
using graph::ValueId;
using graph::WeightId;

constexpr u32 symbolic = 0x80000000u;   // a Range's buffer is an activation whose place is not known yet
constexpr u32 most_scored_tokens = 32;  // rows of logits made at once for scoring

class Planner {
 public:
  Planner(const models::Model& model, const graph::FusedGraph& fused, const PlanOptions& options,
          const gpu::Limits& limits, const gpu::Features& features)
      : graph_(model.graph), heads_(model.graph.heads), fused_(fused), limits_(limits), features_(features) {
    plan_.options = options;
  }

  Result<GpuPlan> run() {
    PRONK_OK(fit_chunk());
    PRONK_TRY(plan_.weights, plan_weights(graph_, fused_, limits_));
    for (u64 bytes : plan_.weights.buffer_bytes) {
      add_buffer("weights", bytes, gpu::usage_storage | gpu::usage_copy_dst, MemoryKind::weights);
    }
    PRONK_OK(add_cache());
    parameters_ = add_buffer("parameters", 0, gpu::usage_uniform | gpu::usage_storage | gpu::usage_copy_dst,
                             MemoryKind::parameters);
    lay_out_state();

    lower(plan_.prefill, plan_.options.chunk, plan_.prefill_state, plan_.prefill_tokens, true);
    lower(plan_.decode, 1, plan_.decode_state, plan_.next_token, false);
    add_sampling();
    plan_.buffers[parameters_].size = parameter_bytes_;
    PRONK_OK(place_activations());
    add_readback();
    PRONK_OK(check_limits());
    return std::move(plan_);
  }

 private:
  u32 add_buffer(std::string label, u64 size, u32 usage, MemoryKind kind) {
    plan_.buffers.push_back({std::move(label), size, usage, kind});
    return u32(plan_.buffers.size() - 1);
  }

  // The widest activation of a chunk must fit a binding.
  Status fit_chunk() {
    PlanOptions& o = plan_.options;
    u64 row = 0;
    for (const graph::FusedNode& node : fused_.nodes) {
      const auto* matmul = std::get_if<graph::FusedMatMul>(&node.op);
      if (!matmul || (is_logits(*matmul) && !o.all_logits)) continue;
      row = std::max<u64>(row, stride_of(matmul->out) * sizeof(float));
    }
    o.chunk = std::min(o.chunk, o.context);
    if (o.all_logits) o.chunk = std::min(o.chunk, most_scored_tokens);
    const u64 most = std::min(limits_.max_storage_buffer_binding_size, limits_.max_buffer_size);
    o.chunk = u32(std::min<u64>(o.chunk, most / std::max<u64>(row, 1)));
    if (o.chunk == 0)
      return fail("an activation of " + std::to_string(row) + " bytes a token does not fit this device's bindings");
    return {};
  }

  Status add_cache() {
    const graph::KvTypes types = plan_.options.kv;
    const u64 k_position = heads_.kv * graph::kv_row_bytes(types.k, heads_.dim);
    const u64 v_position = heads_.kv * graph::kv_row_bytes(types.v, heads_.dim);
    const u64 position_bytes = std::max(k_position, v_position);
    const u64 bytes = position_bytes * plan_.options.context;  // of K or V of a layer, whichever is larger
    const u64 k_bytes = k_position * plan_.options.context, v_bytes = v_position * plan_.options.context;
    const u64 most =
        std::min(limits_.max_storage_buffer_binding_size, (limits_.max_buffer_size - binding_alignment) / 2);
    if (bytes > most) {
      return fail("context length " + std::to_string(plan_.options.context) + " needs " + megabytes(bytes) +
                  " for the keys of a layer, over this device's " + megabytes(most));
    }
    // As many layers in a buffer as it may hold: drivers round small buffers up.
    const u64 v_offset = align_up(k_bytes, binding_alignment),
              layer_bytes = align_up(v_offset + v_bytes, binding_alignment);
    const u32 layers_a_buffer = u32(std::clamp<u64>(limits_.max_buffer_size / layer_bytes, 1, graph_.layers));
    for (u32 layer = 0; layer < graph_.layers; layer += layers_a_buffer) {
      const u32 layers = std::min(layers_a_buffer, graph_.layers - layer);
      const u64 last = (layers - 1) * layer_bytes;
      const u32 buffer = add_buffer("kv cache from layer " + std::to_string(layer), last + v_offset + v_bytes,
                                    gpu::usage_storage, MemoryKind::kv_cache);
      for (u64 start = 0; start <= last; start += layer_bytes) {
        keys_.push_back({buffer, start, k_bytes});
        values_.push_back({buffer, start + v_offset, v_bytes});
      }
    }
    return {};
  }

  void lay_out_state() {
    const u32 usage = gpu::usage_uniform | gpu::usage_storage | gpu::usage_copy_src | gpu::usage_copy_dst;
    const u32 buffer = add_buffer("state", 0, usage, MemoryKind::parameters);
    u64 end = 0;
    const auto reserve = [&](u64 bytes) {
      const Range range{buffer, align_up(end, binding_alignment), bytes};
      end = range.offset + bytes;
      return range;
    };
    const u64 state_bytes = align_up(sizeof(kernels::StepState), 16);
    plan_.decode_state = reserve(state_bytes);
    plan_.next_token = reserve(4);
    plan_.sampled = reserve(4);
    plan_.prefill_state = reserve(state_bytes);
    plan_.prefill_tokens = reserve(plan_.options.chunk * 4);
    plan_.buffers[buffer].size = end;

    plan_.rope_table = reserve_parameters(kernels::rope_table_bytes(heads_.rotated, plan_.options.context));
    plan_.sample_params = reserve_parameters(align_up(sizeof(kernels::SampleParams), 16));
    plan_.end_tokens = reserve_parameters(max_end_tokens * 4);
  }

  Range reserve_parameters(u64 bytes) {
    const Range range{parameters_, align_up(parameter_bytes_, binding_alignment), align_up(bytes, 16)};
    parameter_bytes_ = range.offset + range.size;
    return range;
  }

  // Dispatches with equal parameters share a slot.
  template <class Params>
  Range params(const Params& params) {
    std::vector<u8> bytes(align_up(sizeof params, 16));
    std::memcpy(bytes.data(), &params, sizeof params);
    for (const auto& [range, content] : plan_.constants) {
      if (content == bytes) return range;
    }
    const Range range = reserve_parameters(bytes.size());
    plan_.constants.push_back({range, std::move(bytes)});
    return range;
  }

  // A format's table is written once, whatever the number of weights that use it.
  void add_table(const formats::Format& format, std::vector<Range>& bindings) {
    if (!format.gpu_table) return;
    const auto [at, added] = tables_.try_emplace(&format);
    if (added) {
      const std::span<const u32> words = format.gpu_table();
      const auto* bytes = reinterpret_cast<const u8*>(words.data());
      at->second = reserve_parameters(words.size_bytes());
      plan_.constants.push_back({at->second, {bytes, bytes + words.size_bytes()}});
    }
    bindings.push_back(at->second);
  }

  u32 pipeline(gpu::PipelineDesc desc) {
    for (u32 i = 0; i < plan_.pipelines.size(); ++i) {
      if (plan_.pipelines[i].label == desc.label) return i;
    }
    plan_.pipelines.push_back(std::move(desc));
    return u32(plan_.pipelines.size() - 1);
  }

  u32 stride_of(ValueId id) const {
    return graph::row_stride(fused_.values[u32(graph::slice_of(fused_.values, id).root)].width);
  }
  bool is_logits(const graph::FusedMatMul& matmul) const { return matmul.out == graph_.logits; }

  Range new_activation(u64 bytes) {
    activations_.push_back({bytes, 0, 0});
    return {symbolic | u32(activations_.size() - 1), 0, bytes};
  }

  // Memory of the value that an id lives in, for the rows of the current program.
  Range activation(ValueId id) {
    const ValueId root = graph::slice_of(fused_.values, id).root;
    const auto [at, added] = program_values_.try_emplace(root);
    if (added) at->second = new_activation(u64(program_rows_) * stride_of(root) * sizeof(float));
    return at->second;
  }

  // The unused binding of an optional vector.
  Range nothing() const { return {0, 0, std::min<u64>(plan_.buffers[0].size, 16)}; }
  Range vector_or_nothing(WeightId id) const {
    return id == WeightId::none ? nothing() : plan_.weights.vector({id}).range;
  }

  void lower(std::vector<Dispatch>& program, u32 rows, const Range& state, const Range& tokens, bool prefill) {
    program_ = &program;
    program_rows_ = rows;
    program_values_.clear();
    state_ = state;
    prefill_ = prefill;
    // Without logits nothing after the last write to the cache is needed.
    std::size_t end = fused_.nodes.size();
    while (prefill && !plan_.options.all_logits &&
           !std::holds_alternative<graph::RotateStore>(fused_.nodes[end - 1].op))
      --end;
    for (std::size_t i = 0; i < end; ++i) {
      const graph::FusedOp& op = fused_.nodes[i].op;
      if (const auto* embed = std::get_if<graph::Embed>(&op)) lower(*embed, tokens);
      if (const auto* matmul = std::get_if<graph::FusedMatMul>(&op)) lower(*matmul);
      if (const auto* rotate = std::get_if<graph::RotateStore>(&op)) lower(*rotate);
      if (const auto* attention = std::get_if<graph::Attention>(&op)) lower(*attention);
    }
    if (!prefill) plan_.logits = activation(graph_.logits);
    if (prefill && plan_.options.all_logits) plan_.all_logits = activation(graph_.logits);
  }

  void lower(const graph::Embed& embed, const Range& tokens) {
    const Matrix& table = plan_.weights.matrix({embed.table});
    for (const MatrixPart& part : table.parts) {
      kernels::EmbedParams p;
      p.first_row = part.first_row;
      p.rows = part.rows;
      p.row_units = table.row_units();
      p.y_stride = stride_of(embed.out) / 4;
      set_planes(p, part);
      std::vector<Range> bindings{params(p), state_, part.range, part.range, tokens, activation(embed.out)};
      add_table(*table.format, bindings);
      emit(kernels::embed(*table.format), std::move(bindings), {kernels::embed_grid(p.row_units)}, Kernel::Scale::y);
    }
  }

  template <class Params>
  static void set_planes(Params& params, const MatrixPart& part) {
    params.plane1 = u32(part.extent.plane_offset[1] / 4);
    params.plane2 = u32(part.extent.plane_offset[2] / 4);
    params.plane3 = u32(part.extent.plane_offset[3] / 4);
  }

  void lower(const graph::FusedMatMul& matmul) {
    const Matrix& matrix = plan_.weights.matrix(part_weights(matmul));
    const auto biases = part_biases(matmul);
    const kernels::MatMulKind kind{matrix.format, matmul.norm != WeightId::none, !biases.empty(), matmul.epilogue};
    const auto x = graph::slice_of(fused_.values, matmul.x);
    const auto y = graph::slice_of(fused_.values, matmul.out);
    const u32 width = fused_.values[u32(matmul.out)].width;
    const bool swiglu = matmul.epilogue == graph::Epilogue::swiglu;

    kernels::MatMulParams p;
    p.row_units = matrix.row_units();
    p.x_base = x.column / 4;
    p.x_stride = stride_of(matmul.x) / 4;
    p.y_stride = stride_of(matmul.out);
    p.width = float(matrix.cols);
    p.eps = matmul.eps;
    for (const MatrixPart& part : matrix.parts) {
      p.rows = p.padded_rows = part.rows;
      // The last columns of a value are followed by its padding, which stays zero.
      if (y.column + width == fused_.values[u32(y.root)].width && part.first_row + part.rows == matrix.rows) {
        p.padded_rows += p.y_stride - (y.column + width);
      }
      p.y_base = y.column + part.first_row;
      p.bias_base = part.first_row;
      set_planes(p, part);
      const kernels::Grid grid = kernels::matvec_grid(p.padded_rows, limits_);
      p.grid_x = grid.x;
      std::vector<Range> bindings{params(p),
                                  state_,
                                  part.range,
                                  part.range,
                                  activation(matmul.x),
                                  vector_or_nothing(matmul.norm),
                                  biases.empty() ? nothing() : plan_.weights.vector(biases).range,
                                  activation(matmul.out)};
      add_table(*matrix.format, bindings);
      if (!prefill_) {
        emit(kernels::matvec(kind, features_), std::move(bindings), grid, Kernel::Scale::none);
        continue;
      }
      emit(kernels::gemm(kind), std::move(bindings), kernels::gemm_grid(p.padded_rows, swiglu), Kernel::Scale::y, 1,
           kernels::gemm_tokens());
      program_->back().small_batch = Kernel{pipeline(kernels::matvec(kind, features_, kernels::batch_tokens)), grid,
                                            Kernel::Scale::z, 1, kernels::batch_tokens};
    }
  }

  void lower(const graph::RotateStore& rotate) {
    kernels::RotateParams p;
    p.stride = stride_of(rotate.qkv) / 4;
    p.q_heads = heads_.query;
    p.kv_heads = heads_.kv;
    p.context = plan_.options.context;
    p.eps = rotate.eps;
    const bool q_norm = rotate.q_norm != WeightId::none, k_norm = rotate.k_norm != WeightId::none;
    emit(kernels::rotate_store(heads_, q_norm, k_norm, plan_.options.kv),
         {params(p), state_, plan_.rope_table, vector_or_nothing(rotate.q_norm), vector_or_nothing(rotate.k_norm),
          activation(rotate.qkv), keys_[rotate.layer], values_[rotate.layer]},
         {heads_.query + 2 * heads_.kv}, Kernel::Scale::y);
  }

  void lower(const graph::Attention& attention) {
    kernels::AttentionParams p;
    p.group_heads = heads_.query / heads_.kv;
    p.stride = stride_of(attention.q) / 4;
    p.context = plan_.options.context;
    p.scale = heads_.scale;
    const u32 splits = prefill_ ? 1 : kernels::attention_splits(heads_);
    const u32 vectors = kernels::attention_vectors(heads_, prefill_ ? plan_.options.chunk : 1);
    const Range partial = new_activation(prefill_ ? 16 : kernels::attention_partial_bytes(heads_, splits));
    const Range q = activation(attention.q);
    emit(kernels::attention(heads_, plan_.options.kv, vectors, splits),
         {params(p), state_, keys_[attention.layer], values_[attention.layer], q, partial},
         {splits, heads_.kv, u32(ceil_div(p.group_heads, vectors))}, Kernel::Scale::z, p.group_heads, vectors);
    if (prefill_) return;
    emit(kernels::combine(heads_, splits), {params(p), state_, partial, q}, {heads_.query}, Kernel::Scale::none);
  }

  void add_sampling() {
    const u32 vocab = fused_.values[u32(graph_.logits)].width;
    const u32 grid = kernels::sample_grid(vocab);
    const Range block_sums = new_activation(align_up(kernels::sample_blocks_bytes(vocab), 16));
    const Range candidates = new_activation(kernels::sample_candidates_bytes(vocab));
    const Range params = plan_.sample_params;
    program_ = &plan_.sampling;
    const std::vector<Range> bindings{params, plan_.decode_state, plan_.logits, block_sums, candidates};
    emit(kernels::sample_blocks(), bindings, {grid}, Kernel::Scale::none);
    emit(kernels::sample_filter(), bindings, {grid}, Kernel::Scale::none);
    emit(kernels::sample_pick(),
         {params, plan_.logits, block_sums, candidates, plan_.end_tokens, plan_.decode_state, plan_.next_token,
          plan_.sampled},
         {1}, Kernel::Scale::none);
  }

  void emit(gpu::PipelineDesc desc, std::vector<Range> bindings, kernels::Grid grid, Kernel::Scale scale,
            u32 per_token = 1, u32 tile = 1) {
    const Kernel kernel{pipeline(std::move(desc)), grid, prefill_ ? scale : Kernel::Scale::none, per_token, tile};
    program_->push_back({kernel, std::move(bindings), std::nullopt});
  }

  // Each activation is alive from the first dispatch that touches it to the last.
  Status place_activations() {
    std::vector<std::pair<u32, u32>> apart;
    std::vector<bool> touched(activations_.size());
    std::vector<std::vector<Dispatch>*> programs{&plan_.prefill, &plan_.decode, &plan_.sampling};
    u32 step = 0;
    for (auto* program : programs) {
      for (const Dispatch& dispatch : *program) touch(dispatch, step++, touched, apart);
    }
    const graph::MemoryPlan memory = graph::plan_memory(activations_, apart, binding_alignment);
    plan_.activations_lower_bound = memory.lower_bound;
    const u32 first = u32(plan_.buffers.size());
    for (u64 bytes : memory.buffer_bytes) {
      if (bytes > limits_.max_buffer_size)
        return fail("activations need a buffer of " + megabytes(bytes) + ", over this device's limit");
      add_buffer("activations", bytes, gpu::usage_storage | gpu::usage_copy_src, MemoryKind::activations);
    }
    const auto resolve = [&](Range& range) {
      if (!(range.buffer & symbolic)) return;
      const Range& at = memory.ranges[range.buffer & ~symbolic];
      range.buffer = first + at.buffer;
      range.offset += at.offset;
    };
    for (auto* program : programs) {
      for (Dispatch& dispatch : *program) {
        for (Range& range : dispatch.bindings) resolve(range);
      }
    }
    resolve(plan_.logits);
    if (plan_.options.all_logits) resolve(plan_.all_logits);
    plan_.greedy = {plan_.sampling.front(), plan_.sampling.back()};
    return {};
  }

  void touch(const Dispatch& dispatch, u32 step, std::vector<bool>& touched, std::vector<std::pair<u32, u32>>& apart) {
    std::vector<u32> reads, writes;
    const auto& types = plan_.pipelines[dispatch.kernel.pipeline].bindings;
    for (std::size_t b = 0; b < dispatch.bindings.size(); ++b) {
      if (!(dispatch.bindings[b].buffer & symbolic)) continue;
      const u32 item = dispatch.bindings[b].buffer & ~symbolic;
      if (!touched[item]) activations_[item].first = step;
      touched[item] = true;
      activations_[item].last = step;
      (types[b] == gpu::BindingType::storage_read_write ? writes : reads).push_back(item);
    }
    for (u32 read : reads) {
      for (u32 write : writes) apart.push_back({read, write});
    }
  }

  void add_readback() {
    const u32 usage = gpu::usage_map_read | gpu::usage_copy_dst;
    for (u32 i = 0; i < steps_in_flight; ++i) {
      plan_.token_readback.push_back(add_buffer("sampled token", 4, usage, MemoryKind::readback));
    }
    if (plan_.options.all_logits) {
      plan_.logits_readback = add_buffer("logits", plan_.all_logits.size, usage, MemoryKind::readback);
    }
  }

  Status check_grid(const Kernel& kernel, u32 tokens) const {
    const kernels::Grid grid = kernel.grid_for(tokens);
    const u32 largest = std::max({grid.x, grid.y, grid.z});
    if (largest <= limits_.max_compute_workgroups_per_dimension) return {};
    return fail("kernel '" + plan_.pipelines[kernel.pipeline].label + "' needs " + std::to_string(largest) +
                " workgroups in a row, over this device's limit");
  }

  // What no check before has caught: tiny limits, or a huge model.
  Status check_limits() const {
    for (const gpu::BufferDesc& buffer : plan_.buffers) {
      if (buffer.size <= limits_.max_buffer_size) continue;
      return fail("buffer '" + buffer.label + "' needs " + std::to_string(buffer.size) +
                  " bytes, over this device's limit of " + std::to_string(limits_.max_buffer_size));
    }
    for (const auto* program : {&plan_.prefill, &plan_.decode, &plan_.sampling}) {
      for (const Dispatch& dispatch : *program) {
        PRONK_OK(check_grid(dispatch.kernel, plan_.options.chunk));
        if (dispatch.small_batch)
          PRONK_OK(check_grid(*dispatch.small_batch, std::min(plan_.options.chunk, kernels::batch_limit)));
        for (const Range& range : dispatch.bindings) {
          if (range.size <= limits_.max_storage_buffer_binding_size) continue;
          return fail("kernel '" + plan_.pipelines[dispatch.kernel.pipeline].label + "' needs " +
                      std::to_string(range.size) + " bytes at once, over this device's bindings of " +
                      std::to_string(limits_.max_storage_buffer_binding_size));
        }
      }
    }
    return {};
  }

  const graph::Graph& graph_;
  const graph::Heads& heads_;
  const graph::FusedGraph& fused_;
  const gpu::Limits& limits_;
  const gpu::Features& features_;
  GpuPlan plan_;
  std::vector<Range> keys_, values_;  // of each layer
  u32 parameters_ = 0;                // buffer
  u64 parameter_bytes_ = 0;
  std::vector<graph::Interval> activations_;
  std::map<const formats::Format*, Range> tables_;

  // The program being lowered.
  std::vector<Dispatch>* program_ = nullptr;
  std::map<ValueId, Range> program_values_;
  u32 program_rows_ = 1;
  Range state_;
  bool prefill_ = false;
};

}  // namespace

kernels::Grid Kernel::grid_for(u32 tokens) const {
  kernels::Grid sized = grid;
  const u32 scaled = u32(ceil_div(u64(tokens) * per_token, tile));
  if (scale == Scale::y) sized.y = scaled;
  if (scale == Scale::z) sized.z = scaled;
  return sized;
}

u64 GpuPlan::bytes(MemoryKind kind) const {
  u64 sum = 0;
  for (const gpu::BufferDesc& buffer : buffers) sum += buffer.kind == kind ? buffer.size : 0;
  return sum;
}

Result<GpuPlan> plan_gpu(const models::Model& model, const PlanOptions& options, const gpu::Limits& limits,
                         const gpu::Features& features) {
  PRONK_TRY(const graph::FusedGraph fused, graph::fuse(model.graph));
  return Planner(model, fused, options, limits, features).run();
}

}  // namespace pronk::engine
