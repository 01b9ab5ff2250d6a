// Cuts a text into the words that BPE merges inside of, as the models' published regular expressions do.
#pragma once

#include <optional>
#include <span>
#include <string>
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

extern const std::string_view gpt2_pattern;  // the regular expression of GPT-2

// Cuts by one regular expression.
struct Splitter {
  SplitBy by = SplitBy::pattern;
  std::vector<SplitPattern> pattern{};  // one for SplitBy::pattern

  // A published regular expression that SplitPattern cannot carry out, or one that it can; else the error.
  static Result<Splitter> parse(std::string_view regex);
  static Splitter of_text(std::string_view text) { return {SplitBy::pattern, {SplitPattern::of_text(text)}}; }

  // Cuts text[start, end) at both ends of every match, and appends the end of each part.
  void split(std::string_view text, u64 start, u64 end, std::vector<u32>& ends) const;

  // Calls visit(start, end) for each match in text[start, end) until it says false.
  template <class Visit>
  void for_each_match(std::string_view text, u64 start, u64 end, Visit visit) const {
    if (by != SplitBy::pattern) {  // these cut, and every part counts as a match
      std::vector<u32> ends;
      split(text, start, end, ends);
      for (const u32 each : ends) {
        if (!visit(start, u64{each})) return;
        start = each;
      }
      return;
    }
    while (start < end) {
      const u64 found = pattern[0].match(text, start, end);
      if (found > start && !visit(start, found)) return;
      start = found > start ? found : pattern[0].next_start(text, start, end);
    }
  }
};

// Immutable after construction.
class PreTokenizer {
 public:
  // The value of `tokenizer.ggml.pre`, under the names that the field's files use; nullopt: not supported.
  static std::optional<PreTokenizer> by_name(std::string_view name);
  // The first of its names; empty: none cuts by these one after the other.
  static std::string_view name_of(std::span<const std::string> patterns, bool ignores_merges);

  // Appends the end of each word, in order; every byte is in one word. A byte that is not UTF-8 counts as a symbol.
  void split(std::string_view text, std::vector<u32>& ends) const;

  bool ignores_merges() const { return ignores_merges_; }  // a word that is a token as a whole is not built by merges
  bool adds_bos() const { return adds_bos_; }              // unless the file says otherwise
  // Merges run over characters, with U+2581 for a space and byte tokens for what has no token, as in SentencePiece;
  // else over the byte alphabet of byte-level BPE.
  bool over_characters() const { return over_characters_; }

 private:
  std::vector<Splitter> steps_;  // each cuts the pieces of the one before
  bool ignores_merges_ = false, adds_bos_ = false, over_characters_ = false;
};

// All names, for tests.
std::vector<std::string_view> pre_tokenizer_names();

}  // namespace pronk::text
