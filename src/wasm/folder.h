// What the module pronk-folder.wasm exports: it makes one GGUF file of a folder of Hugging Face's, MLC's or AQLM.rs's,
// as `pronk convert` does, so that the engine and its module know no other. The host gives it the small files and the
// headers of the weight files; it answers with the head of the file and where the rest comes from.
//
// Conventions are those of wasm/abi.h.
#pragma once

#include "wasm/call.h"
#include "wasm/host_types.h"

// Result: names of small files, one a line: before the first is added those of which a folder has one, the first of
// them that is there; then those that it may have besides, and at the end those that the added ones name.
PRONK_EXPORT(folder_file_names) i32 folder_file_names();
PRONK_EXPORT(folder_add_file) i32 folder_add_file(const u8* name, u32 name_length, const u8* bytes, u32 length);
// After those, where they are known: the names of all files of the folder, one a line.
PRONK_EXPORT(folder_add_names) i32 folder_add_names(const u8* names, u32 length);
// After those. Result: the weight files, one a line: MD5 in hex or nothing, a space, the name.
PRONK_EXPORT(folder_weight_files) i32 folder_weight_files();
// The first bytes of the next weight file. Returns 0 when they are enough, else how many from its start to call again
// with. size < 0: unknown.
PRONK_EXPORT(folder_header) double folder_header(const u8* bytes, u32 length, double size);
// After the last. Result: the GGUF file up to its first tensor.
PRONK_EXPORT(folder_head) i32 folder_head();
// After that. Result: a FolderTensor for each tensor, in the order of the file; its size.
PRONK_EXPORT(folder_tensors) double folder_tensors();

// A tokenizer.json for the calls that follow, which want nothing of what came before.
PRONK_EXPORT(folder_tokenizer) i32 folder_tokenizer(const u8* json, u32 length);
// Result: u32 ids, without what stands around a text. control: control tokens in it are found.
PRONK_EXPORT(folder_encode) i32 folder_encode(const u8* text, u32 length, u32 control);
// Result: the text of a token; first of all.
PRONK_EXPORT(folder_decode) i32 folder_decode(u32 id, u32 first);

// Result: so many units of a tensor as its FolderTensor says; wants nothing of what came before. second: 0 where there
// is one input.
PRONK_EXPORT(folder_make)
i32 folder_make(u32 type, u32 stored, u32 unit, u32 row, double added, u32 units, const u8* first, const u8* second);
