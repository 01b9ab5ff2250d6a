// The device over functions that the host (web/src/runtime/gpu.ts) imports into the WASM module: a browser's WebGPU or
// Node's. One device a module instance; the host owns the GPU objects and knows them by the ids of device.h.
//
// Imports are in the module "pronk"; sizes and offsets that may pass 2^32 are doubles (exact to 2^53). The host reports
// an event by the export
//   u8* pronk_gpu_event(u32 kind, u32 id, u32 length)
// which queues the event (kind is Event::Kind) and returns where the host must at once copy its `length` bytes: UTF-8
// text for kinds with a message, the bytes read for read_done. The address is good until the next call into the module.
#pragma once

#include <memory>

#include "base/result.h"
#include "gpu/device.h"

namespace pronk::gpu {

// Asks the host what it has; an error when it has no device.
Result<std::unique_ptr<Device>> make_browser_device();

}  // namespace pronk::gpu
