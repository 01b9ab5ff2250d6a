// What this machine's processor can do at most: what a measured speed is a share of.
#pragma once

#include <string>

#include "base/types.h"

namespace pronk::cli {

struct MachineRates {
  u32 threads = 0;              // 0: they are a GPU's
  double read_bytes = 0;        // a second, by all threads, from more memory than caches hold
  double multiply_adds = 0;     // a second, of 8-bit numbers in the first cache, by all threads
  std::string instruction_set;  // that they were made with
};

// Takes about half a second.
MachineRates measure_machine(u32 threads);

}  // namespace pronk::cli
