// Cuts a text into the words that BPE merges inside of, as the models' published regular expressions do.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "text/split_pattern.h"

namespace pronk::text {

enum class SplitBy : u8 {
  pattern,
  number_groups,   // three numbers each, counted from the end of their run, each group alone
  digit_groups,    // the same with digits, cut before each full group only
  trailing_space,  // the white space that ends the text
};

// Immutable after construction.
class PreTokenizer {
 public:
  // The value of `tokenizer.ggml.pre`, under the names that the field's files use; nullopt: not supported.
  static std::optional<PreTokenizer> by_name(std::string_view name);

  // Appends the end of each word, in order; every byte is in one word. A byte that is not UTF-8 counts as a symbol.
  void split(std::string_view text, std::vector<u32>& ends) const;

  bool ignores_merges() const { return ignores_merges_; }  // a word that is a token as a whole is not built by merges
  bool adds_bos() const { return adds_bos_; }              // unless the file says otherwise
  // Merges run over characters, with U+2581 for a space and byte tokens for what has no token, as in SentencePiece;
  // else over the byte alphabet of byte-level BPE.
  bool over_characters() const { return over_characters_; }

 private:
  struct Step {
    SplitBy by;
    std::vector<SplitPattern> pattern{};  // one for SplitBy::pattern
  };
  std::vector<Step> steps_;  // each cuts the pieces of the one before
  bool ignores_merges_ = false, adds_bos_ = false, over_characters_ = false;
};

// All names, for tests.
std::vector<std::string_view> pre_tokenizer_names();

}  // namespace pronk::text
