// Where the time of a token goes on a GPU: what each kernel took, from timestamp queries.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "gpu/native.h"

namespace pronk::cli {

struct KernelTime {
  std::string kernel;  // its label
  u32 dispatches = 0;
  double milliseconds = 0;  // of all of them
};

struct KernelTimes {
  u32 depth = 0;                            // tokens that stood before
  u32 prefilled = 0, decoded = 0;           // tokens that were timed
  std::vector<KernelTime> prefill, decode;  // longest first
};

// Sorts dispatches into those of prefill and those of decode, which sample.
KernelTimes sum_up(const std::vector<gpu::DispatchTime>& dispatches);

double total_ms(const std::vector<KernelTime>& kernels);

}  // namespace pronk::cli
