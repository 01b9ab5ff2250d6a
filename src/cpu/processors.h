// How many threads suit a machine.
#pragma once

#include <span>

#include "base/types.h"

namespace pronk::cpu {

// One that this process may use.
struct Processor {
  u32 core = 0;       // the same of processors that share a core
  u32 capacity = 0;   // of a core among those of the machine, the best having 1024; 0: not known
  u32 frequency = 0;  // the highest, in kHz; 0: not known
};

// One for each core of those that are about as fast as the fastest, but no more than the quota, a number of
// processors, allows (0: none); at least one. A slow core would mostly make the others wait.
u32 threads_for(std::span<const Processor> processors, double quota);

// The same of this machine, as it is now.
u32 default_threads();

constexpr u32 most_threads = 1024;  // that may be asked for

}  // namespace pronk::cpu
