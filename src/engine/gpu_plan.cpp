#include "engine/gpu_plan.h"

#include <algorithm>

#include "base/units.h"
#include "engine/gpu_plan_layout.h"
#include "engine/gpu_plan_lowering.h"
#include "engine/gpu_plan_placement.h"

namespace pronk::engine {
namespace {

constexpr u32 most_scored_tokens = 32;  // rows of logits made at once for scoring

bool makes_hidden(const graph::Graph& graph) { return graph.output == graph.hidden; }

// The tokens of a chunk: the widest activation must fit a binding. Where tokens see later ones, all are one chunk.
Result<u32> fitting_chunk(const graph::Graph& graph, const graph::FusedGraph& fused, const PlanOptions& options,
                          const gpu::Limits& limits) {
  u64 row = 0;
  const auto widen = [&](graph::ValueId id) {
    if (id == graph.output && !options.all_logits) return;
    const graph::ValueId root = graph::slice_of(fused.values, id).root;
    row = std::max<u64>(row, graph::row_stride(fused.values[u32(root)].width) * sizeof(float));
  };
  for (const graph::FusedNode& node : fused.nodes) graph::for_each_operand(node.op, [](graph::ValueId) {}, widen);
  const bool whole = !graph.causal();
  u32 chunk = whole ? options.context : std::min(options.chunk, options.context);
  if (options.all_logits && !makes_hidden(graph)) chunk = std::min(chunk, most_scored_tokens);
  const u64 most = std::min(limits.max_storage_buffer_binding_size, limits.max_buffer_size);
  const u64 fitting = std::min<u64>(chunk, most / std::max<u64>(row, 1));
  if (fitting == 0)
    return fail("an activation of " + std::to_string(row) + " bytes a token does not fit this device's bindings");
  if (whole && fitting < chunk) {
    return fail("a text of " + std::to_string(chunk) + " tokens needs activations of " + megabytes(row * chunk) +
                " each, over this device's bindings of " + megabytes(most));
  }
  return u32(fitting);
}

void add_readback(GpuPlan& plan) {
  const auto add = [&](const char* label, u64 bytes) {
    plan.buffers.push_back({label, bytes, gpu::usage_map_read | gpu::usage_copy_dst, gpu::MemoryKind::readback});
    return u32(plan.buffers.size() - 1);
  };
  for (u32 i = 0; i < DecodePace::most_reads && !plan.sampling.empty(); ++i)
    plan.token_readback.push_back(add("sampled tokens", DecodePace::most_tokens * 4));
  if (!plan.sampling.empty()) plan.logits_readback = add("logits", u64(plan.output_width) * sizeof(float) + 4);
  if (plan.options.all_logits) plan.output_readback = add("output", plan.all_outputs.size);
}

Status check_grid(const GpuPlan& plan, const Kernel& kernel, u32 tokens, const gpu::Limits& limits) {
  const kernels::Grid grid = kernel.grid_for(tokens);
  const u32 largest = std::max({grid.x, grid.y, grid.z});
  if (largest <= limits.max_compute_workgroups_per_dimension) return {};
  return fail("kernel '" + plan.pipelines[kernel.pipeline].label + "' needs " + std::to_string(largest) +
              " workgroups in a row, over this device's limit");
}

Status check_dispatch(const GpuPlan& plan, const Dispatch& dispatch, u32 tokens, const gpu::Limits& limits) {
  PRONK_OK(check_grid(plan, dispatch.kernel, tokens, limits));
  if (dispatch.small_batch)
    PRONK_OK(check_grid(plan, *dispatch.small_batch, std::min(tokens, kernels::batch_limit), limits));
  for (const Range& range : dispatch.bindings) {
    if (range.size <= limits.max_storage_buffer_binding_size) continue;
    return fail("kernel '" + plan.pipelines[dispatch.kernel.pipeline].label + "' needs " + std::to_string(range.size) +
                " bytes at once, over this device's bindings of " +
                std::to_string(limits.max_storage_buffer_binding_size));
  }
  return {};
}

// What no check before has caught: tiny limits, or a huge model.
Status check_limits(const GpuPlan& plan, const gpu::Limits& limits) {
  for (const gpu::BufferDesc& buffer : plan.buffers) {
    if (buffer.size <= limits.max_buffer_size) continue;
    return fail("buffer '" + buffer.label + "' needs " + std::to_string(buffer.size) +
                " bytes, over this device's limit of " + std::to_string(limits.max_buffer_size));
  }
  for (const Dispatch& dispatch : plan.prefill) {
    PRONK_OK(check_dispatch(plan, dispatch, plan.options.chunk, limits));
  }
  for (const auto* program : {&plan.decode, &plan.blocks, &plan.adjusted_blocks, &plan.sampling}) {
    for (const Dispatch& dispatch : *program) PRONK_OK(check_dispatch(plan, dispatch, 1, limits));
  }
  return {};
}

Result<GpuPlan> plan_graph(const graph::Graph& graph, const PlanOptions& options, const gpu::Limits& limits,
                           const gpu::Features& features) {
  PRONK_TRY(const graph::FusedGraph fused, graph::fuse(graph));
  GpuPlan plan;
  plan.options = options;
  if (makes_hidden(graph)) plan.options.hidden = plan.options.all_logits = true;
  PRONK_TRY(plan.options.chunk, fitting_chunk(graph, fused, plan.options, limits));
  const graph::Slice output = graph::slice_of(fused.values, graph.output);
  plan.output_width = graph[graph.output].width;
  plan.output_base = output.column;
  plan.output_stride = graph::row_stride(fused.values[u32(output.root)].width);
  BufferLayout layout(graph, fused, limits, plan);
  PRONK_OK(layout.add_buffers());
  const Draft draft = lower_graph(graph, fused, limits, features, layout, plan);
  layout.finish();
  PRONK_OK(place_activations(draft, limits, plan));
  add_readback(plan);
  PRONK_OK(check_limits(plan, limits));
  return plan;
}

}  // namespace

u64 GpuPlan::bytes(gpu::MemoryKind kind) const {
  u64 sum = 0;
  for (const gpu::BufferDesc& buffer : buffers) sum += buffer.kind == kind ? buffer.size : 0;
  return sum;
}

Result<GpuPlan> plan_gpu(const models::Model& model, const PlanOptions& options, const gpu::Limits& limits,
                         const gpu::Features& features) {
  if (options.hidden && !makes_hidden(model.graph)) {
    return plan_graph(graph::without_logits(model.graph), options, limits, features);
  }
  return plan_graph(model.graph, options, limits, features);
}

}  // namespace pronk::engine
