// The GPU back end as the engine sees it. Modules for the CPU alone (cmake/wasm.cmake) have no_gpu.cpp in place of
// gpu_backend.cpp, and so neither kernels nor what plans and runs them.
#pragma once

#include <memory>

#include "engine/loader.h"
#include "engine/memory_use.h"
#include "engine/runner.h"
#include "gpu/device.h"
#include "models/model.h"
#include "pronk/pronk.h"

namespace pronk::engine {

struct GpuBackend {
  std::unique_ptr<Runner> runner;
  std::unique_ptr<Loader> loader;  // to the runner
};

// All that it is given must outlive it. The plan that Preflight makes of the same options is what it allocates.
Result<GpuBackend> make_gpu_backend(const files::Gguf& file, const models::Model& model, const LoadOptions& options,
                                    u32 context, gpu::Device& device);

struct GpuSizes {
  MemoryUse memory = {};
  u64 activations_lower_bound = 0;
  Status possible;  // why the device cannot have it; the figures are those of a device that refuses nothing
};

GpuSizes gpu_sizes(const models::Model& model, const LoadOptions& options, u32 context, graph::KvTypes kv,
                   const gpu::Limits& limits, const gpu::Features& features);

}  // namespace pronk::engine
