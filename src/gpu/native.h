// The device over the standard webgpu.h: wgpu-native or Dawn. Callbacks only record; they run inside poll() or the call
// that made them, on the caller's thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "gpu/device.h"

namespace pronk::gpu {

struct NativeOptions {
  bool force_fallback = false;         // only an adapter that runs on the CPU
  bool hardware_only = false;          // none that runs on the CPU
  bool default_limits = false;         // the limits every WebGPU device has, not the adapter's own
  bool no_features = false;            // neither shader-f16 nor subgroups
  bool timestamps = false;             // what start_timing() needs, where the adapter has it
  std::string adapter_substring = {};  // the adapter's vendor, architecture, device or description must contain it
};

// Waits, a few seconds at most, for adapter and device. No adapter is an error that says "no WebGPU adapter", only
// software where hardware_only forbids it one that says "software".
Result<std::unique_ptr<Device>> create_native_device(const NativeOptions& options = {});

// How long a dispatch took on the GPU.
struct DispatchTime {
  std::string kernel;  // the pipeline's label
  u32 submission = 0;  // since start_timing()
  double milliseconds = 0;
};

// Until stop_timing() each dispatch, or the first 2048, has a compute pass of its own and is timed. False where the
// adapter cannot, or the device was not made for it. `device` is of create_native_device().
bool start_timing(Device& device);
Result<std::vector<DispatchTime>> stop_timing(Device& device);  // waits for what was submitted

// Polls until an event is there or the time has passed, sleeping some tens of microseconds in between.
void wait(Device& device, std::chrono::milliseconds timeout);

}  // namespace pronk::gpu
