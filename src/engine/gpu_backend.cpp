#include "engine/gpu_backend.h"

#include "engine/gpu_plan.h"
#include "engine/gpu_runner.h"
#include "kernels/adapter_classes.h"

namespace pronk::engine {

namespace {

gpu::Limits boundless() {
  gpu::Limits limits;
  limits.max_buffer_size = limits.max_storage_buffer_binding_size = u64{1} << 50;
  limits.max_compute_workgroups_per_dimension = 1u << 31;
  return limits;
}

}  // namespace

Result<GpuBackend> make_gpu_backend(const files::Gguf& file, const models::Model& model, const LoadOptions& options,
                                    u32 context, gpu::Device& device) {
  const PlanOptions asked{.context = context,
                          .kv = options.kv,
                          .all_logits = options.scoring,
                          .tuning = kernels::with_class_choices(options.tuning, device.info()),
                          .activations = options.activations};
  PRONK_TRY(GpuPlan plan, plan_gpu(model, asked, device.limits(), device.features()));
  auto runner = std::make_unique<GpuRunner>(model, std::move(plan), device, options.self_test && device.computes(),
                                            options.prefill_chunk);
  auto loader = std::make_unique<StagedLoader>(file, model.graph, runner->sink());
  return GpuBackend{std::move(runner), std::move(loader)};
}

GpuSizes gpu_sizes(const models::Model& model, const LoadOptions& options, u32 context, graph::KvTypes kv,
                   const gpu::Limits& limits, const gpu::Features& features) {
  GpuSizes sizes{.possible = StagedLoader::check(model.graph)};
  // Choices of an adapter's class need no memory of their own.
  const PlanOptions asked{.context = context,
                          .kv = kv,
                          .all_logits = options.scoring,
                          .tuning = options.tuning,
                          .activations = options.activations};
  auto plan = plan_gpu(model, asked, limits, features);
  if (!plan) {
    if (sizes.possible) sizes.possible = std::unexpected(plan.error());
    plan = plan_gpu(model, asked, boundless(), features);
  }
  if (!plan) return sizes;
  sizes.memory = planned_memory(*plan);
  sizes.memory.staging += StagedLoader::part_bytes;
  sizes.activations_lower_bound = plan->activations_lower_bound;
  return sizes;
}

}  // namespace pronk::engine
