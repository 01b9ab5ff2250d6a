// The numbers that pass between the WASM module and its host, which knows them from web/src/runtime/abi.ts, made from
// these declarations.
#pragma once

#include "base/enums.h"
#include "base/fields.h"
#include "base/types.h"

namespace pronk::wasm {

// clang-format off: one value a line reads better than as a macro's arguments.

// What pronk_pump() returns.
PRONK_PLAIN_ENUM(State, i32,
  (state_failed, -1),  // the result has the message; only pronk_unload() helps
  (state_empty, 0),    // nothing loaded
  (state_loading, 1),  // wants bytes (pronk_space/pronk_commit) until pronk_position() is negative, then compiles
  (state_ready, 2),
  (state_busy, 3),     // generating or embedding; events will come (GPU)
  (state_again, 4),    // the same; call pronk_pump() again when convenient
  (state_mask, 5)      // generating; the next token awaits pronk_mask(), and all before have been given
);

// What pronk_next() returns.
PRONK_PLAIN_ENUM(Next, i32,
  (next_none, 0),   // nothing has come yet
  (next_token, 1),  // the result is a u32, the token, then its text (UTF-8, empty while a character is unfinished)
  (next_end, 2)     // the generation has ended: a u32, why (pronk::Finish), then the last text; given once
);

// What pronk_embedding() returns.
PRONK_PLAIN_ENUM(EmbeddingState, i32,
  (embedding_none, 0),  // it is still being made, or none is
  (embedding_done, 1)   // the result is f32 values; given once
);

// What pronk_saved() returns.
PRONK_PLAIN_ENUM(SavedState, i32,
  (saved_none, 0),   // none have come yet
  (saved_bytes, 1),  // the result has the next
  (saved_all, 2)     // all have been given
);

PRONK_PLAIN_ENUM(DeviceKind, i32, (device_cpu, 0), (device_gpu, 1));
PRONK_PLAIN_ENUM(KvKind, i32, (kv_f16, 0), (kv_f32, 1), (kv_q8, 2), (kv_q4, 3));
PRONK_PLAIN_ENUM(TokenizeFlags, u32, (tokenize_special, 1), (tokenize_bos, 2), (tokenize_no_bos, 4));
PRONK_PLAIN_ENUM(SpecialToken, u32, (special_bos, 0), (special_eos, 1));

PRONK_PLAIN_ENUM(PoolingKind, i32,
  (pooling_auto, 0),  // as the file says, or the mean
  (pooling_mean, 1), (pooling_cls, 2), (pooling_last, 3),
  (pooling_none, 4)   // a vector for each token
);

// Instead of a context length.
PRONK_PLAIN_ENUM(Context, u32, (context_default, 0), (context_largest, 0xffffffff));

// A tensor of the GGUF file that pronk-folder.wasm makes of a folder. Its bytes are a range of a file of the folder
// where unit is 0; else each `unit` of them are made of as many units of its inputs.
PRONK_STRUCT(FolderTensor,
  (double, offset),  // in the GGUF file
  (double, bytes),
  (double, first_offset),  // in the input's file
  (double, first_bytes),
  (double, second_offset),
  (double, second_bytes),  // 0: there is one input
  (double, added),         // for folder_make(), as the type
  (u32, first_file),
  (u32, second_file),
  (u32, unit),
  (u32, first_unit),
  (u32, second_unit),
  (u32, type),
  (u32, stored),
  (u32, row)
);
// clang-format on

}  // namespace pronk::wasm
