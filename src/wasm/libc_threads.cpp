// What libc++ and wasi-libc, which know no threads, would do wrongly with several: a function's static variable is
// initialised once, and the heap is for the first thread alone.
#include "wasm/libc_threads.h"

#include <cstddef>
#include <cstdint>

#include "base/check.h"

namespace {

enum : std::uint32_t { unset = 0, done = 1, busy = 2 };  // of a guard: compiled code tests its lowest bit

thread_local bool without_heap = false;

}  // namespace

void forbid_heap() { without_heap = true; }

extern "C" {

int __cxa_guard_acquire(std::uint32_t* guard) {
  for (;;) {
    std::uint32_t found = unset;
    if (__atomic_compare_exchange_n(guard, &found, busy, false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) return 1;
    if (found == done) return 0;
    __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int*>(guard), int(busy), -1);
  }
}
void __cxa_guard_release(std::uint32_t* guard) {
  __atomic_store_n(guard, done, __ATOMIC_RELEASE);
  __builtin_wasm_memory_atomic_notify(reinterpret_cast<int*>(guard), ~0u);
}

// The linker (--wrap) sends calls of malloc() here.
void* __real_malloc(std::size_t bytes);
void* __wrap_malloc(std::size_t bytes) {
  CHECK(!without_heap);
  return __real_malloc(bytes);
}

}  // extern "C"
