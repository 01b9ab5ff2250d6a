// The part of regular expressions that published pre-tokenizers are written in, matched in time that is linear for each
// attempt and without recursion over the text.
//
// A pattern is alternatives without nesting, and an alternative a sequence of:
// - characters, escapes (\r \n \t \u1234 \s \S \d \w \p{L} \P{Lu} … \p{Han}) and classes ([^…], ranges,
//   [a[b]], &&[^…]), each with ? * + {n}
//   {m,n} {m,}, greedy, or possessive with one more +;
// - (?i:…|…), literal words in which ASCII letters match in either case, also with ?;
// - (?!\S) or $ as the last thing ($ is also before each line break).
// No alternative matches the empty text. After a second repeat without a limit everything is optional, so that an
// attempt looks at each character a few times only, whoever wrote the pattern.
// \s is White_Space. A byte that is not UTF-8 counts as U+FFFD, a symbol.
#pragma once

#include <array>
#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "text/unicode.h"

namespace pronk::text {

struct CharSet {
  std::bitset<128> ascii;                     // the answer for ASCII, the rest is for other characters
  std::vector<std::pair<u32, u32>> ranges{};  // first and last code point, sorted and apart
  u32 classes = 0;                            // bit 1 << CharClass
  bool negated = false;
  std::vector<CharSet> also{};  // in each of these too
  std::vector<CharSet> any{};   // or in one of these, before it is negated

  bool has(u32 code_point) const;
};

class SplitPattern {
 public:
  explicit SplitPattern(std::string_view pattern);              // CHECK: it is of the form above
  static Result<SplitPattern> parse(std::string_view pattern);  // the error says what is not of that form
  static SplitPattern of_text(std::string_view text);           // matches exactly this, which is not empty

  // The end of the match of the first alternative that matches at `start` within text[start, end); `start`: none does.
  // What lies outside is not seen.
  u64 match(std::string_view text, u64 start, u64 end) const;

  // Where to try next after nothing has matched at `start`: where the only alternative begins with a repeat without a
  // limit, it matches nowhere in the run that this takes.
  u64 next_start(std::string_view text, u64 start, u64 end) const;

  // Cuts text[start, end) at both ends of every match, and appends the end of each part.
  void split(std::string_view text, u64 start, u64 end, std::vector<u32>& ends) const;

 private:
  friend class PatternParser;
  friend class Attempt;
  struct Item {
    CharSet set{};
    std::vector<std::string> words{};  // when not empty, one of them in place of the set; lower case
    u32 min = 1, max = 1;
    bool possessive = false;
  };
  enum class End : u8 { anywhere, before_space, line };  // before_space: (?!\S), line: $
  struct Alternative {
    std::vector<Item> items{};
    End end = End::anywhere;
  };
  explicit SplitPattern(std::vector<Alternative> alternatives);

  std::vector<Alternative> alternatives_;
  std::array<u32, 128> starts_{};  // by ASCII character: bit n says that alternative n may begin with it
};

}  // namespace pronk::text
