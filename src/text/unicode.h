// UTF-8 (Unicode 3.9, table 3-7), and what tokenizers ask about characters: classes, lower case, bases of accented
// ones.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/types.h"

namespace pronk::text {

// Upper includes title case; letter is what has no case (Lm, Lo); mark is nonspacing; digit is
// Nd, number the rest of N*; control is what is neither white
// space nor unassigned of C*; other is unassigned.
enum class CharClass : u8 {
  other,
  upper,
  lower,
  letter,
  mark,
  spacing_mark,
  digit,
  number,
  punctuation,
  symbol,
  space,
  control,
};

// From the Unicode Character Database, see tools/unicode_tables.py. space is the property White_Space.
CharClass class_of(u32 code_point);

u32 lower_case(u32 code_point);  // the letter itself where it has none

// The characters that are left of a canonical decomposition without its nonspacing marks: at most two and often one,
// three for Hangul; a character that does not decompose is itself, a mark alone is nothing.
struct BaseChars {
  u32 count = 0;
  u32 chars[3] = {};
};
BaseChars base_chars(u32 code_point);

// Generated. A change is the first code point of a range << 4 | its class, or one above the last class: letters whose
// case alternates, upper at even code points, or at odd ones.
struct LowerRange {
  u32 first, last, step;
  i32 distance;  // from each of first, first + step … last to its lower case
};
// Numbers of seven bits a byte, the lowest first; the high bit says that more follow. Signed ones by turns: 0, -1, 1, …
// packed_decompositions: runs of code points, each from the one before. A run: code points since the last, (how many
// more) << 4 | kind, then its parts, signed and each relative to the part before; of each further code point the first
// part is one more. Kinds: 1 one character, 2 and 3 two (3: which compose to it again), all canonical; from 5 on
// compatible, of kind - 4 characters, at 15 of as many as a number before the parts says.
// packed_combining_classes: code points since the last run, how many more, and their canonical combining class.
extern const std::string_view unicode_version;
extern const std::span<const u32> class_changes;  // sorted, as all of these
extern const std::span<const LowerRange> lower_ranges;
extern const std::span<const u8> packed_decompositions, packed_combining_classes;

struct DecodedChar {
  u32 code_point;  // U+FFFD for a byte that begins no well-formed character
  u32 bytes;       // 1 for such a byte
};
// The character at `at`, which must lie inside. Overlong forms, surrogates and what ends past the text are ill-formed.
DecodedChar decode_char(std::string_view text, u64 at);

void append_utf8(u32 code_point, std::string& out);

// Moves what `bytes` holds into `out` as valid UTF-8: each maximal ill-formed part becomes one U+FFFD (Unicode 3.9,
// "substitution of maximal subparts"). The start of a character that later bytes may finish stays, unless `last`.
void take_utf8(std::string& bytes, bool last, std::string& out);

}  // namespace pronk::text
