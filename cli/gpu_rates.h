// What a GPU can do at most, measured by two small kernels: what the speed of a model's kernels is a share of.
#pragma once

#include "base/result.h"
#include "gpu/device.h"

namespace pronk::cli {

struct GpuRates {
  double copied_bytes = 0;   // a second, read and written together, from one large buffer to another
  double multiply_adds = 0;  // a second, of f32 in registers
};

// Takes about a second. Nobody else may be using the device, which is of create_native_device().
Result<GpuRates> measure_gpu(gpu::Device& device);

}  // namespace pronk::cli
