// Times of dispatches from timestamp queries, of the device over webgpu.h.
#pragma once

#include <webgpu.h>

#include <vector>

#include "base/result.h"
#include "gpu/native.h"

namespace pronk::gpu {

// Each dispatch that is timed has a pass of its own, begun with next().
class NativeTimer {
 public:
  static constexpr u32 most = 2048;  // dispatches: a query set has at most 4096 queries

  NativeTimer(WGPUDevice device, WGPUQueue queue);
  ~NativeTimer();
  NativeTimer(const NativeTimer&) = delete;
  NativeTimer& operator=(const NativeTimer&) = delete;

  void end_submission() { ++submission_; }
  // Null when there is no room left. Good until the next call.
  const WGPUPassTimestampWrites* next(const std::string& kernel);
  // Waits for what was submitted.
  Result<std::vector<DispatchTime>> read(WGPUInstance instance);

 private:
  WGPUDevice device_;
  WGPUQueue queue_;
  WGPUQuerySet queries_ = nullptr;
  WGPUBuffer resolved_ = nullptr, readback_ = nullptr;
  WGPUPassTimestampWrites writes_{};
  std::vector<DispatchTime> times_;
  u32 submission_ = 0;
};

}  // namespace pronk::gpu
