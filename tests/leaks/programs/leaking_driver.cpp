// A Vulkan driver that hands every call to the one named by PRONK_REAL_DRIVER, and forgets memory in each way that a
// driver may. Built without frame pointers, as drivers are; the Vulkan loader unloads it with the last instance.
#include <dirent.h>
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace {

using Function = void (*)();

// The pointers stand complemented in here, where the leak checker does not see them; it looks at no unloaded module
// anyway.
volatile std::uintptr_t forgotten = 0;

void forget(const void* memory) { forgotten = ~reinterpret_cast<std::uintptr_t>(memory); }

void leak() {
  forget(std::malloc(101));
  forget(std::calloc(1, 102));
  forget(std::realloc(nullptr, 103));
  forget(new char[104]);
  forget(new std::string(105, 'x'));
  forget(::strdup("106"));
  forget(::opendir("/"));
  char* text = nullptr;
  if (::asprintf(&text, "%d", 107) > 0) forget(text);
  std::thread([] { forget(std::malloc(108)); }).join();
}

void* real_function(const char* name) {
  static void* const driver = ::dlopen(std::getenv("PRONK_REAL_DRIVER"), RTLD_NOW | RTLD_LOCAL);
  if (!driver) std::fprintf(stderr, "leaking driver: %s\n", ::dlerror());
  void* const function = driver ? ::dlsym(driver, name) : nullptr;
  if (!function) std::abort();
  return function;
}

[[gnu::constructor]] void loaded() { leak(); }

}  // namespace

#define EXPORTED extern "C" [[gnu::visibility("default")]]

EXPORTED int vk_icdNegotiateLoaderICDInterfaceVersion(std::uint32_t* version) {
  leak();
  return reinterpret_cast<int (*)(std::uint32_t*)>(real_function(__func__))(version);
}

EXPORTED Function vk_icdGetInstanceProcAddr(void* instance, const char* name) {
  leak();
  return reinterpret_cast<Function (*)(void*, const char*)>(real_function(__func__))(instance, name);
}

EXPORTED Function vk_icdGetPhysicalDeviceProcAddr(void* instance, const char* name) {
  leak();
  return reinterpret_cast<Function (*)(void*, const char*)>(real_function(__func__))(instance, name);
}
