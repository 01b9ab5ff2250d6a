// The threads of a module of shared memory: workers that the host starts, each with an instance of its own.
#pragma once

#include "base/types.h"

namespace pronk::cpu {

// The life of thread `thread`, from 1 on: it serves each pool that has so many, as long as that one is there. A pool
// has all its threads from the start, whether their workers have come or not: those that do not come take no parts.
[[noreturn]] void serve_pools(u32 thread);

// To be called in place of a thread that trapped: what its job wrote is not to be relied on, so whoever waits for the
// job traps too.
void thread_is_lost();

}  // namespace pronk::cpu
