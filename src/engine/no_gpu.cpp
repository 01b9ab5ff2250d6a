// In place of the GPU back end and its device, where a module is for the CPU alone.
#include "engine/gpu_backend.h"
#include "gpu/browser.h"

namespace pronk {

namespace {

std::unexpected<Error> no_gpu() { return fail(ErrorCode::no_device, "this module computes on the CPU only"); }

}  // namespace

Result<std::unique_ptr<gpu::Device>> gpu::make_browser_device() { return no_gpu(); }

Result<engine::GpuBackend> engine::make_gpu_backend(const files::Gguf&, const models::Model&, const LoadOptions&, u32,
                                                    gpu::Device&) {
  return no_gpu();
}

engine::GpuSizes engine::gpu_sizes(const models::Model&, const LoadOptions&, u32, graph::KvTypes, const gpu::Limits&,
                                   const gpu::Features&) {
  return {.possible = no_gpu()};
}

}  // namespace pronk
