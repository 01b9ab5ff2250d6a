#include <optional>

#include "engine/cpu_runner.h"
#include "engine/gpu_backend.h"
#include "engine/loader.h"
#include "engine/model_parts.h"
#include "engine/preflight.h"
#include "engine/session.h"
#include "engine/weight_memory.h"
#include "engine/weight_sample.h"
#include "gpu/device.h"
#include "pronk/pronk.h"

namespace pronk {

struct Engine::Parts {
  std::vector<std::shared_ptr<const void>> owners;  // of mapped files
  std::shared_ptr<const Model> model;
  std::shared_ptr<const models::Model> loaded;
  LoadOptions options;
  Plan plan;
  std::unique_ptr<gpu::Device> device;
  std::unique_ptr<engine::Loader> loader;
  std::unique_ptr<engine::Runner> runner;
  engine::WeightMemory* memory = nullptr;  // the loader, on the CPU
  std::optional<engine::WeightSample> sample;
  std::unique_ptr<engine::RunnerSession> session;
  std::optional<gpu::Counters> counters_when_ready;
  Status status;
  bool weights_done = false;
};

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::create(std::shared_ptr<const Model> model, const LoadOptions& asked,
                                               std::unique_ptr<gpu::Device> device) {
  auto parts = std::make_unique<Parts>();
  PRONK_TRY(auto loadable, model->parts_->loadable(asked));
  parts->loaded = std::move(loadable.model);
  parts->options = loadable.options;
  const LoadOptions& options = parts->options;
  const models::Model& inner = *parts->loaded;
  const engine::Preflight preflight(model->parts_->file, inner, options, device ? &device->limits() : nullptr,
                                    device ? &device->features() : nullptr);
  PRONK_TRY(parts->plan, preflight.run(false));
  if (!parts->plan.fits()) return fail(parts->plan.refusal_code, parts->plan.refusal);
  const u32 context = parts->plan.context;
  if (device) {
    PRONK_TRY(engine::GpuBackend gpu, engine::make_gpu_backend(model->parts_->file, inner, options, context, *device));
    parts->runner = std::move(gpu.runner);
    parts->loader = std::move(gpu.loader);
  } else {
    PRONK_OK(cpu::check_kernels_choice());
    auto memory = std::make_unique<engine::WeightMemory>(model->parts_->file, inner.graph);
    parts->memory = memory.get();
    parts->runner = std::make_unique<engine::CpuRunner>(inner, *memory, context, options.kv, options.scoring,
                                                        options.activations, options.threads);
    parts->loader = std::move(memory);
  }
  parts->sample.emplace(model->parts_->file, inner.graph, context);
  parts->session =
      std::make_unique<engine::RunnerSession>(*model, *parts->runner, context, options, *parts->sample, parts->status);
  parts->device = std::move(device);
  parts->model = std::move(model);
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

u32 Engine::file() const { return parts_->loader->file(); }
u64 Engine::position() const { return parts_->loader->position(); }
u64 Engine::stream_end() const { return parts_->loader->stream_end(); }
bool Engine::wants_bytes() const { return parts_->status && !bytes_done() && parts_->runner->takes_bytes(); }
bool Engine::bytes_done() const { return parts_->loader->done(); }
std::span<u8> Engine::space() { return parts_->loader->space(); }

Status Engine::map(u32 file, std::span<const u8> contents, std::shared_ptr<const void> owner) {
  CHECK(parts_->memory);
  if (!parts_->status) return parts_->status;
  parts_->owners.push_back(std::move(owner));
  parts_->sample->map(file, contents);
  parts_->status = parts_->memory->map(file, contents);
  return pump();
}

Status Engine::commit(u64 bytes) {
  if (!parts_->status) return parts_->status;
  const std::span<const u8> given = space().first(std::size_t(bytes));
  parts_->sample->add(file(), position(), given);
  parts_->loader->commit(bytes);
  return pump();
}

Status Engine::pump() {
  Parts& p = *parts_;
  if (!p.status) return p.status;
  if (p.loader->done() && !p.weights_done) {
    p.weights_done = true;
    p.status = p.runner->weights_done();
    if (!p.status) return p.status;
  }
  p.status = p.runner->pump();
  if (!p.status && p.runner->memory_refused()) {
    const engine::Preflight preflight(p.model->parts_->file, *p.loaded, p.options, &p.device->limits(),
                                      &p.device->features());
    p.status = fail(p.status.error().code, p.status.error().message + "; " + preflight.figures_and_less(p.plan));
  }
  if (ready() && !p.counters_when_ready) p.counters_when_ready = p.device ? p.device->counters() : gpu::Counters{};
  return p.status;
}

bool Engine::ready() const { return parts_->status && parts_->weights_done && parts_->runner->ready(); }
bool Engine::wants_pump() const { return parts_->status && parts_->runner->wants_pump(); }
Session& Engine::session() { return *parts_->session; }
u32 Engine::row_width() const {
  const graph::Graph& graph = parts_->loaded->graph;
  return graph[graph.output].width;
}
u32 Engine::prefill_chunk() const { return parts_->runner->prefill_chunk(); }
gpu::Device* Engine::device() { return parts_->device.get(); }
const Model& Engine::model() const { return *parts_->model; }
const Plan& Engine::plan() const { return parts_->plan; }

MemoryUse Engine::planned() const {
  MemoryUse use = parts_->runner->planned();
  if (parts_->device) use.staging += engine::StagedLoader::part_bytes;
  return use;
}

MemoryUse Engine::allocated() const {
  MemoryUse use = parts_->runner->allocated();
  if (parts_->device) use.staging += engine::StagedLoader::part_bytes;
  return use;
}

graph::RunCost Engine::run_cost(u32 first, u32 tokens, u32 logits) const {
  return graph::run_cost(parts_->loaded->graph, parts_->options.kv, first, tokens, logits);
}

RunCounters Engine::run_counters() const {
  if (!parts_->device || !parts_->counters_when_ready) return {};
  const gpu::Counters now = parts_->device->counters(), ready = *parts_->counters_when_ready;
  RunCounters counters{.buffers_created_after_load = now.buffers_created - ready.buffers_created,
                       .bind_groups_created_after_load = now.bind_groups_created - ready.bind_groups_created,
                       .pipelines_created_after_load = now.pipelines_created - ready.pipelines_created};
  const std::optional<gpu::Counters> at_decode = parts_->runner->counters_at_decode();
  if (!at_decode || at_decode->reads == now.reads) return counters;
  const gpu::Counters& decode = *at_decode;
  const u64 steps = now.reads - decode.reads;  // each step reads back once
  counters.dispatches_per_token = double(now.dispatches - decode.dispatches) / double(steps);
  counters.submits_per_token = double(now.submits - decode.submits) / double(steps);
  counters.readback_bytes_per_token = double(now.readback_bytes - decode.readback_bytes) / double(steps);
  return counters;
}

}  // namespace pronk
