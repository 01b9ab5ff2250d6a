// What every module has: how text and arrays pass through its memory, and how a call answers. abi.h says more.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

#define PRONK_EXPORT(name) extern "C" __attribute__((export_name(#name), visibility("default")))

using pronk::i32, pronk::u32, pronk::u8;

// Memory for arguments; pronk_alloc never returns null (the module traps when memory is exhausted).
PRONK_EXPORT(pronk_alloc) u8* pronk_alloc(u32 bytes);
PRONK_EXPORT(pronk_realloc) u8* pronk_realloc(u8* memory, u32 bytes);  // keeps what it held; memory may be null
PRONK_EXPORT(pronk_free) void pronk_free(u8* memory);
PRONK_EXPORT(pronk_result_ptr) const u8* pronk_result_ptr();
PRONK_EXPORT(pronk_result_len) u32 pronk_result_len();
// Of the last call that failed; never ErrorCode::unspecified.
PRONK_EXPORT(pronk_error_code) i32 pronk_error_code();

namespace pronk::wasm {

inline std::string_view text_of(const u8* bytes, u32 length) { return {reinterpret_cast<const char*>(bytes), length}; }

i32 give(std::string text);  // as the result
// otherwise: what an error that does not say its kind is, in the call that failed.
i32 failed(const Error& error, ErrorCode otherwise);
i32 misused(std::string message);

}  // namespace pronk::wasm
