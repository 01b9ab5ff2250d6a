// Linked into every sanitized executable: memory that a GPU driver forgets is no leak of ours.
//
// Drivers, their layers and the Vulkan loader leak, and which of them does differs from machine to machine.
// LeakSanitizer could leave them out by name only, and knows no name of one that has been unloaded. But every one is
// loaded while the program runs, so each allocation is judged when it is made: it is the driver's if the code that
// asked for it lies in a module that was not there when the program started (or in none: code compiled at run time). It
// may ask through the C library or another one that the program is linked with. LeakSanitizer then takes the allocation
// for reachable.
#include <dlfcn.h>
#include <link.h>
#include <sanitizer/allocator_interface.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#include <unwind.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

namespace {

enum class Owner { program, shared_library, driver };

const link_map* program;  // the executable itself
const link_map* webgpu;   // and its WebGPU library, which leaks on our account; may be null
std::array<const link_map*, 256> there_at_start = {};  // these two, and all other libraries that it is linked with
std::size_t there_count = 0;

// Whose code lies at an address. A shared library works for whoever called it.
Owner owner_of(void* address) {
  dl_find_object found;
  if (_dl_find_object(address, &found) != 0) return Owner::driver;
  if (found.dlfo_link_map == program || found.dlfo_link_map == webgpu) return Owner::program;
  const auto end = there_at_start.begin() + std::ptrdiff_t(there_count);
  return std::find(there_at_start.begin(), end, found.dlfo_link_map) == end ? Owner::driver : Owner::shared_library;
}

// Drivers never call the program. Where one seems to, it calls a stand-in of the sanitizer's for a function of the C
// library: these are linked into the program.
_Unwind_Reason_Code look_for_driver(_Unwind_Context* frame, void* found) {
  void* const address = reinterpret_cast<void*>(_Unwind_GetIP(frame));  // null: the end
  if (!address || owner_of(address) != Owner::driver) return _URC_NO_REASON;
  *static_cast<bool*>(found) = true;
  return _URC_END_OF_STACK;
}

bool called_by_driver() {
  bool found = false;
  _Unwind_Backtrace(look_for_driver, &found);
  return found;
}

// The stack that AddressSanitizer keeps is right for the first caller only, where code has no frame pointers.
void on_allocation(const volatile void* address, std::size_t) {
  thread_local bool inside = false;
  if (inside) return;
  inside = true;
  void* const memory = const_cast<void*>(address);
  std::array<void*, 2> stack = {};  // the allocating function, its caller
  int thread = 0;
  if (__asan_get_alloc_stack(memory, stack.data(), stack.size(), &thread) == stack.size()) {
    const Owner owner = owner_of(stack[1]);
    if (owner == Owner::driver || (owner == Owner::shared_library && called_by_driver())) __lsan_ignore_object(memory);
  }
  inside = false;
}

void on_free(const volatile void*) {}

[[gnu::constructor]] void start() {
  program = _r_debug.r_map;
  for (const link_map* map = program; map; map = map->l_next) {
    if (there_count == there_at_start.size()) std::abort();
    there_at_start[there_count++] = map;
  }
  dl_find_object found;
  void* const function = ::dlsym(RTLD_DEFAULT, "wgpuCreateInstance");
  if (function && _dl_find_object(function, &found) == 0) webgpu = found.dlfo_link_map;
  if (__sanitizer_install_malloc_and_free_hooks(on_allocation, on_free) == 0) std::abort();
}

}  // namespace
