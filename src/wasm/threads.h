// What the modules of shared memory export beside abi.h. A host that wants threads starts a worker for each but the
// first, gives it the compiled module, the memory and a stack from pronk_thread_stack(), and there makes an instance,
// sets its `__stack_pointer` to the stack, and calls pronk_thread(). _initialize() is called in the first instance
// alone.
#pragma once

#include "wasm/abi.h"

// The end of a new stack, which is never freed: the module's memory goes with the host's.
PRONK_EXPORT(pronk_thread_stack) u8* pronk_thread_stack();
// Serves the CPU back end as thread `thread`, from 1 on; it never returns. stack: where that stack ends.
PRONK_EXPORT(pronk_thread) void pronk_thread(u32 thread, u8* stack);
// To be called in an instance whose pronk_thread() trapped, with its `__stack_pointer` set anew.
PRONK_EXPORT(pronk_thread_lost) void pronk_thread_lost();
