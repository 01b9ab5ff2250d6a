// What Debian's wasi-libc and libc++ would otherwise ask of a WASI host, answered inside the module: it
// imports what is in the module "pronk" only. There are no files, clocks, arguments or environment; what is written
// to stdout and stderr goes to the host's log.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" {

// One piece of text, not necessarily a whole line, for a person to read; nothing is kept after the call.
__attribute__((import_module("pronk"), import_name("log"))) void pronk_host_log(const char* text, std::size_t length);

// wasi-libc of 2022 is built without these, Debian's clang may ask for them.
std::uintptr_t __stack_chk_guard = 0x7c9d31e5;

[[noreturn]] void __stack_chk_fail() { __builtin_trap(); }

}  // extern "C"

[[noreturn]] static void abort_with(const char* message) {
  pronk_host_log(message, __builtin_strlen(message));
  __builtin_trap();
}

// libc++ aborts through these when it may not throw; its own versions bring printf.
_LIBCPP_BEGIN_NAMESPACE_STD
[[noreturn]] void __libcpp_verbose_abort(const char* format, ...) noexcept { abort_with(format); }
_LIBCPP_END_NAMESPACE_STD
extern "C" [[noreturn]] void __abort_message(const char* format, ...) { abort_with(format); }

// The WASI imports of wasi-libc (preview 1): lld takes these definitions in place of imports. errno values as WASI has
// them: 8 bad file descriptor, 52 not supported, 70 seek on a pipe.
extern "C" {

struct WasiText {
  const char* data;
  std::size_t length;
};

std::int32_t __imported_wasi_snapshot_preview1_fd_write(std::int32_t descriptor, std::int32_t texts, std::int32_t count,
                                                        std::int32_t written) {
  if (descriptor != 1 && descriptor != 2) return 8;
  const auto* pieces = reinterpret_cast<const WasiText*>(texts);
  std::size_t total = 0;
  for (std::int32_t i = 0; i < count; ++i) {
    if (pieces[i].length != 0) pronk_host_log(pieces[i].data, pieces[i].length);
    total += pieces[i].length;
  }
  *reinterpret_cast<std::size_t*>(written) = total;
  return 0;
}

std::int32_t __imported_wasi_snapshot_preview1_fd_close(std::int32_t) { return 8; }
std::int32_t __imported_wasi_snapshot_preview1_fd_seek(std::int32_t, std::int64_t, std::int32_t, std::int32_t) {
  return 70;
}
std::int32_t __imported_wasi_snapshot_preview1_fd_read(std::int32_t, std::int32_t, std::int32_t, std::int32_t) {
  return 8;
}
std::int32_t __imported_wasi_snapshot_preview1_fd_fdstat_get(std::int32_t, std::int32_t) { return 8; }
std::int32_t __imported_wasi_snapshot_preview1_environ_get(std::int32_t, std::int32_t) { return 52; }
std::int32_t __imported_wasi_snapshot_preview1_environ_sizes_get(std::int32_t count, std::int32_t size) {
  *reinterpret_cast<std::int32_t*>(count) = 0;
  *reinterpret_cast<std::int32_t*>(size) = 0;
  return 0;
}
std::int32_t __imported_wasi_snapshot_preview1_clock_time_get(std::int32_t, std::int64_t, std::int32_t) { return 52; }
[[noreturn]] void __imported_wasi_snapshot_preview1_proc_exit(std::int32_t) { __builtin_trap(); }

}  // extern "C"
