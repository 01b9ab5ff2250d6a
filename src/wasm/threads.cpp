#include "wasm/threads.h"

#include <cstdlib>

#include "cpu/pool_wasm.h"
#include "wasm/libc_threads.h"

extern "C" void __wasm_init_tls(void*);  // made by the linker

using namespace pronk;

namespace {

constexpr u32 stack_bytes = 256 << 10;

// Below a thread's stack lie its thread-local variables.
u32 locals_bytes() { return u32(align_up(__builtin_wasm_tls_size(), 64)); }

}  // namespace

u8* pronk_thread_stack() {
  void* block = std::aligned_alloc(64, locals_bytes() + stack_bytes);
  if (!block) __builtin_trap();
  return static_cast<u8*>(block) + locals_bytes() + stack_bytes;
}

void pronk_thread(u32 thread, u8* stack) {
  __wasm_init_tls(stack - stack_bytes - locals_bytes());
  forbid_heap();
  cpu::serve_pools(thread);
}

void pronk_thread_lost() { cpu::thread_is_lost(); }
