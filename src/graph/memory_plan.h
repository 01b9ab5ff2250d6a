// Where each activation lies: offsets by interval colouring, in as few buffers as WebGPU's rules allow.
#pragma once

#include <utility>
#include <vector>

#include "base/types.h"

namespace pronk::graph {

// Memory that must hold its content from step `first` to step `last`, both included.
struct Interval {
  u64 bytes = 0;
  u32 first = 0;
  u32 last = 0;
};

// Bytes of a planned buffer, which is named by its index in the plan; gpu::BufferRange is the same of one that exists.
struct Range {
  u32 buffer = 0;
  u64 offset = 0;
  u64 size = 0;
};

struct MemoryPlan {
  std::vector<Range> ranges;  // one for each interval
  std::vector<u64> buffer_bytes;
  u64 lower_bound = 0;  // the largest sum of bytes alive at one step
};

// `apart` lists pairs that must not share a buffer: WebGPU forbids one dispatch to bind a buffer both as read-only
// and as writable storage, whatever the ranges (WebGPU §3.4.4, usage scopes). Offsets are multiples of `alignment`.
// Largest first, each at the place that lets the total grow least.
MemoryPlan plan_memory(const std::vector<Interval>& intervals, const std::vector<std::pair<u32, u32>>& apart,
                       u64 alignment);

}  // namespace pronk::graph
