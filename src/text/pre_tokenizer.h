// Cuts a text into the words that byte-level BPE merges inside of, as the models' published regular expressions do.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace pronk::text {

// The expressions, \s being White_Space. `contraction` is 's|'t|'re|'ve|'m|'ll|'d.
enum class PreTokenizer : u8 {
  // contraction| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  gpt2,
  // First each \p{N} alone, then gpt2 on what lies between.
  smollm,
  // (?i:contraction)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
  // with the i for ASCII letters.
  llama3,
  // The same with \p{N} alone.
  qwen2,
  // One after the other, each on the pieces of the one before: [\p{P}$+<=>^~|]+, gpt2, \p{N}+, [0-9][0-9][0-9]
  fallback,
};

struct PreTokenizerKind {
  PreTokenizer splitter;
  bool ignore_merges = false;  // a word that is a token as a whole is not built by merges
  bool adds_bos = false;       // unless the file says otherwise
};

// The value of `tokenizer.ggml.pre`, under the names that the field's files use; nullopt: not supported.
std::optional<PreTokenizerKind> pre_tokenizer_by_name(std::string_view name);

// Appends the end of each word, in order; every byte is in one word. A byte that is not UTF-8 counts as a symbol.
void split_words(PreTokenizer splitter, std::string_view text, std::vector<u32>& ends);

}  // namespace pronk::text
