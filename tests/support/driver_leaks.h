// For one source file of each sanitized test program that computes on a GPU. Debian's lavapipe keeps some memory of
// every GEMM it has run; what the leak checker finds in the driver is not ours. The driver stays loaded to the end, or
// the checker could not tell whose code it was.
#pragma once

#include <dlfcn.h>

extern "C" const char* __lsan_default_suppressions() { return "leak:libvulkan_lvp.so\nleak:libLLVM\n"; }

namespace pronk::test {

// Null where there is no such driver.
inline void* const kept_driver = ::dlopen("libvulkan_lvp.so", RTLD_NOW | RTLD_NODELETE);

}  // namespace pronk::test
