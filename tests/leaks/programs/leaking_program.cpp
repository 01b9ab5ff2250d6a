// usage: leaking_program [gpu] [LEAK]: makes a GPU device and lets it go, then forgets memory in the named way.
#include <curl/curl.h>
#include <dirent.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "gpu/native.h"

namespace {

using Leak = void* (*)();

const std::map<std::string, Leak> leaks = {
    {"malloc", [] { return std::malloc(101); }},
    {"realloc", [] { return std::realloc(nullptr, 102); }},
    {"new", []() -> void* { return new std::string(103, 'x'); }},
    {"strdup", []() -> void* { return ::strdup("104"); }},
    {"opendir", []() -> void* { return ::opendir("/"); }},             // by the C library
    {"curl_easy_init", []() -> void* { return ::curl_easy_init(); }},  // by a library that pronk is linked with
};

volatile std::uintptr_t forgotten = 0;

[[gnu::noinline]] void forget(Leak leak) { forgotten = ~reinterpret_cast<std::uintptr_t>(leak()); }

// What lies on the stack and in registers is not forgotten.
[[gnu::noinline]] void overwrite_stack() {
  volatile char rest[16384];
  for (volatile char& byte : rest) byte = 0;
}

}  // namespace

int main(int count, char** arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "gpu") {
      const auto device = pronk::gpu::create_native_device();
      if (!device) return std::fprintf(stderr, "%s\n", device.error().message.c_str()), 3;
    } else if (const auto leak = leaks.find(argument); leak != leaks.end()) {
      forget(leak->second);
      overwrite_stack();
    } else {
      return std::fprintf(stderr, "leaking_program: unknown argument '%s'\n", argument.c_str()), 2;
    }
  }
}
