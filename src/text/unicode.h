// UTF-8 (Unicode 3.9, table 3-7) and the few character classes that pre-tokenizers ask for.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/types.h"

namespace pronk::text {

enum class CharClass : u8 { other, letter, number, punctuation, space };

// From the Unicode Character Database, see tools/unicode_tables.py. Unassigned code points are other.
CharClass class_of(u32 code_point);
extern const std::string_view unicode_version;
extern const std::span<const u32> class_changes;  // sorted: first code point of a range << 3 | its class

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
