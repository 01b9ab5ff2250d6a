#include "wasm/call.h"

#include <cstdlib>

namespace pronk::wasm {

namespace {

std::string result;
ErrorCode error_code = ErrorCode::internal;  // of the last failure

}  // namespace

i32 give(std::string text) {
  result = std::move(text);
  return 0;
}

i32 failed(const Error& error, ErrorCode otherwise) {
  result = error.message;
  error_code = error.code == ErrorCode::unspecified ? otherwise : error.code;
  return -1;
}

i32 misused(std::string message) { return failed({std::move(message)}, ErrorCode::internal); }

}  // namespace pronk::wasm

using namespace pronk;
using namespace pronk::wasm;

u8* pronk_alloc(u32 bytes) {
  u8* memory = static_cast<u8*>(std::malloc(bytes > 0 ? bytes : 1));
  if (!memory) __builtin_trap();
  return memory;
}
u8* pronk_realloc(u8* memory, u32 bytes) {
  auto* moved = static_cast<u8*>(std::realloc(memory, bytes > 0 ? bytes : 1));
  if (!moved) __builtin_trap();
  return moved;
}
void pronk_free(u8* memory) { std::free(memory); }
const u8* pronk_result_ptr() { return reinterpret_cast<const u8*>(result.data()); }
u32 pronk_result_len() { return u32(result.size()); }
i32 pronk_error_code() { return i32(error_code); }
