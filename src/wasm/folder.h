// What the module pronk-folder.wasm exports: it makes one GGUF file of a folder of Hugging Face's or MLC's, as `pronk
// convert` does, so that the engine and its module know no other. The host gives it the small files and the headers of
// the weight files; it answers with the head of the file and where the rest comes from.
//
// Conventions, memory and errors are those of wasm/abi.h.
#pragma once

#include "base/fields.h"
#include "base/types.h"

#define PRONK_EXPORT(name) extern "C" __attribute__((export_name(#name), visibility("default")))

namespace pronk::wasm {

// clang-format off: one field a line reads better than as a macro's arguments.

// A tensor of the GGUF file. Its bytes are a range of a file of the folder as it is where unit is 0; else each `unit` of
// them are made of as many of each input's units.
PRONK_STRUCT(FolderTensor,
  (double, offset),  // in the GGUF file
  (double, bytes),
  (double, first_offset),  // in the input's file
  (double, first_bytes),
  (double, second_offset),
  (double, second_bytes),  // 0: there is one input
  (double, added),         // for folder_make(), as the types
  (u32, first_file),
  (u32, second_file),
  (u32, unit),
  (u32, first_unit),
  (u32, second_unit),
  (u32, weights),  // of a unit
  (u32, from),
  (u32, to)
);
// clang-format on

}  // namespace pronk::wasm

using pronk::i32, pronk::u32, pronk::u8;

PRONK_EXPORT(pronk_alloc) u8* pronk_alloc(u32 bytes);
PRONK_EXPORT(pronk_realloc) u8* pronk_realloc(u8* memory, u32 bytes);
PRONK_EXPORT(pronk_free) void pronk_free(u8* memory);
PRONK_EXPORT(pronk_result_ptr) const u8* pronk_result_ptr();
PRONK_EXPORT(pronk_result_len) u32 pronk_result_len();
PRONK_EXPORT(pronk_error_code) i32 pronk_error_code();

// Result: the names of the small files that a folder may have, one a line, in the order in which they are to be added;
// it has one of the first two.
PRONK_EXPORT(folder_file_names) i32 folder_file_names();
PRONK_EXPORT(folder_add_file) i32 folder_add_file(const u8* name, u32 name_length, const u8* bytes, u32 length);
// After those. Result: the names of the weight files, one a line.
PRONK_EXPORT(folder_weight_files) i32 folder_weight_files();
// The first bytes of the next weight file. Returns 0 when they are enough, else how many from its start to call again
// with. size < 0: unknown.
PRONK_EXPORT(folder_header) double folder_header(const u8* bytes, u32 length, double size);
// After the last. Result: the GGUF file up to its first tensor.
PRONK_EXPORT(folder_head) i32 folder_head();
// After that. Result: a FolderTensor for each tensor, in the order of the file; its size.
PRONK_EXPORT(folder_tensors) double folder_tensors();

// Result: bytes of a tensor as its FolderTensor says; wants nothing of what came before.
PRONK_EXPORT(folder_make)
i32 folder_make(u32 from, u32 to, double added, u32 weights, const u8* first, const u8* second);
