#include "gpu/native_timer.h"

#include <webgpu.h>
#ifdef PRONK_WGPU
#include <wgpu.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

namespace pronk::gpu {
namespace {

// The standard has nanoseconds; wgpu-native gives ticks.
#ifdef PRONK_WGPU
double tick_ns(WGPUQueue queue) { return wgpuQueueGetTimestampPeriod(queue); }
#else
double tick_ns(WGPUQueue) { return 1; }
#endif

constexpr u64 query_bytes = sizeof(u64);

WGPUBuffer create_buffer(WGPUDevice device, WGPUBufferUsage usage) {
  WGPUBufferDescriptor descriptor{};
  descriptor.usage = usage;
  descriptor.size = 2 * NativeTimer::most * query_bytes;
  return wgpuDeviceCreateBuffer(device, &descriptor);
}

}  // namespace

NativeTimer::NativeTimer(WGPUDevice device, WGPUQueue queue) : device_(device), queue_(queue) {
  WGPUQuerySetDescriptor descriptor{};
  descriptor.type = WGPUQueryType_Timestamp;
  descriptor.count = 2 * most;
  queries_ = wgpuDeviceCreateQuerySet(device, &descriptor);
  resolved_ = create_buffer(device, WGPUBufferUsage_QueryResolve | WGPUBufferUsage_CopySrc);
  readback_ = create_buffer(device, WGPUBufferUsage_MapRead | WGPUBufferUsage_CopyDst);
}

NativeTimer::~NativeTimer() {
  wgpuBufferRelease(readback_);
  wgpuBufferRelease(resolved_);
  wgpuQuerySetRelease(queries_);
}

const WGPUPassTimestampWrites* NativeTimer::next(const std::string& kernel) {
  if (times_.size() == most) return nullptr;
  const u32 first = u32(2 * times_.size());
  writes_ = {.nextInChain = nullptr,
             .querySet = queries_,
             .beginningOfPassWriteIndex = first,
             .endOfPassWriteIndex = first + 1};
  times_.push_back({.kernel = kernel, .submission = submission_, .milliseconds = 0});
  return &writes_;
}

Result<std::vector<DispatchTime>> NativeTimer::read(WGPUInstance instance) {
  if (times_.empty()) return times_;
  const u64 bytes = 2 * times_.size() * query_bytes;
  const WGPUCommandEncoder encoder = wgpuDeviceCreateCommandEncoder(device_, nullptr);
  wgpuCommandEncoderResolveQuerySet(encoder, queries_, 0, u32(2 * times_.size()), resolved_, 0);
  wgpuCommandEncoderCopyBufferToBuffer(encoder, resolved_, 0, readback_, 0, bytes);
  const WGPUCommandBuffer commands = wgpuCommandEncoderFinish(encoder, nullptr);
  wgpuQueueSubmit(queue_, 1, &commands);
  wgpuCommandBufferRelease(commands);
  wgpuCommandEncoderRelease(encoder);

  auto* mapped = new WGPUMapAsyncStatus(WGPUMapAsyncStatus(0));  // the callback may come after the time has passed
  const auto callback = [](WGPUMapAsyncStatus status, WGPUStringView, void* to, void*) {
    *static_cast<WGPUMapAsyncStatus*>(to) = status;
  };
  wgpuBufferMapAsync(readback_, WGPUMapMode_Read, 0, bytes,
                     {.nextInChain = nullptr,
                      .mode = WGPUCallbackMode_AllowProcessEvents,
                      .callback = callback,
                      .userdata1 = mapped,
                      .userdata2 = nullptr});
  for (u32 i = 0; i < 60000 && *mapped == WGPUMapAsyncStatus(0); ++i) {
    wgpuInstanceProcessEvents(instance);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (*mapped == WGPUMapAsyncStatus(0)) return fail(ErrorCode::device_failed, "the device gave no times for a minute");
  const bool good = *mapped == WGPUMapAsyncStatus_Success;
  delete mapped;
  if (!good) return fail(ErrorCode::device_failed, "the device failed to read back its times");
  std::vector<u64> ticks(2 * times_.size());
  std::memcpy(ticks.data(), wgpuBufferGetConstMappedRange(readback_, 0, bytes), bytes);
  wgpuBufferUnmap(readback_);
  for (std::size_t i = 0; i < times_.size(); ++i) {
    const u64 begin = ticks[2 * i], end = std::max(ticks[2 * i + 1], begin);
    times_[i].milliseconds = double(end - begin) * tick_ns(queue_) / 1e6;
  }
  return times_;
}

}  // namespace pronk::gpu
