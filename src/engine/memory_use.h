// What loading a model takes.
#pragma once

#include "base/types.h"

namespace pronk {

// Bytes by kind. `staging` is host memory that file bytes pass through; everything else is on the device
// (with the CPU as the device: in memory, where what is mapped of files counts as weights). Known before anything is
// allocated, and equal to what is.
struct MemoryUse {
  u64 weights = 0, kv_cache = 0, activations = 0, parameters = 0, staging = 0, readback = 0;

  u64 total() const { return weights + kv_cache + activations + parameters + staging + readback; }
  bool operator==(const MemoryUse&) const = default;
};

}  // namespace pronk
