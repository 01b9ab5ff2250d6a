// A made-up byte-level BPE vocabulary of a given size that really encodes text: all 256 bytes, then merges of letters.
#pragma once

#include <array>
#include <string_view>

#include "base/types.h"
#include "files/gguf_writer.h"

namespace pronk::cli {

struct VocabularyShape {
  std::string_view pre;                        // tokenizer.ggml.pre
  u32 size = 0;                                // all tokens
  bool special_first = false;                  // special tokens have the lowest ids; else the highest
  std::array<std::string_view, 4> specials{};  // the first special tokens; empty ends the list
  u32 special_count = 0;                       // with reserved ones behind those named
  u32 bos = 0, eos = 0;                        // among the special tokens
  bool add_bos = false;
};

// Adds tokenizer.ggml.* and a ChatML template.
void add_vocabulary(files::GgufWriter& writer, const VocabularyShape& shape);

}  // namespace pronk::cli
