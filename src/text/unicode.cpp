#include "text/unicode.h"

#include <algorithm>

namespace pronk::text {
namespace {

// How a character that starts with this byte goes on: bytes in all, and the range of the second byte.
struct Lead {
  u32 bytes;
  u8 low, high;
};

Lead lead_of(u8 byte) {
  if (byte < 0xc2) return {1, 0, 0};
  if (byte < 0xe0) return {2, 0x80, 0xbf};
  if (byte == 0xe0) return {3, 0xa0, 0xbf};
  if (byte == 0xed) return {3, 0x80, 0x9f};
  if (byte < 0xf0) return {3, 0x80, 0xbf};
  if (byte == 0xf0) return {4, 0x90, 0xbf};
  if (byte < 0xf4) return {4, 0x80, 0xbf};
  if (byte == 0xf4) return {4, 0x80, 0x8f};
  return {1, 0, 0};
}

// Well-formed bytes from `at` on that belong to one character, at least 1; `wanted` is how many a whole one has.
u32 well_formed_bytes(std::string_view text, u64 at, u32& wanted) {
  const Lead lead = lead_of(u8(text[at]));
  wanted = lead.bytes;
  const u64 end = std::min<u64>(text.size(), at + lead.bytes);
  if (lead.bytes == 1 || at + 1 >= end) return 1;
  if (u8(text[at + 1]) < lead.low || u8(text[at + 1]) > lead.high) return 1;
  u64 next = at + 2;
  while (next < end && (u8(text[next]) & 0xc0) == 0x80) ++next;
  return u32(next - at);
}

}  // namespace

CharClass class_of(u32 code_point) {
  constexpr u32 even_upper = u32(CharClass::control) + 1;
  const auto after = std::upper_bound(class_changes.begin(), class_changes.end(), code_point << 4 | 15);
  const u32 found = after[-1] & 15;  // the first range starts at 0
  if (found < even_upper) return CharClass(found);
  return code_point % 2 == found - even_upper ? CharClass::upper : CharClass::lower;
}

u32 lower_case(u32 code_point) {
  if (code_point < 0x80) return code_point >= 'A' && code_point <= 'Z' ? code_point | 0x20 : code_point;
  const auto after = std::upper_bound(lower_ranges.begin(), lower_ranges.end(), code_point,
                                      [](u32 value, const LowerRange& range) { return value < range.first; });
  if (after == lower_ranges.begin()) return code_point;
  const LowerRange& range = after[-1];
  const bool inside = code_point <= range.last && (code_point - range.first) % range.step == 0;
  return inside ? u32(i32(code_point) + range.distance) : code_point;
}

DecodedChar decode_char(std::string_view text, u64 at) {
  const u8 first = u8(text[at]);
  if (first < 0x80) return {first, 1};
  u32 wanted = 0;
  const u32 found = well_formed_bytes(text, at, wanted);
  if (wanted == 1 || found < wanted) return {0xfffd, 1};
  u32 code_point = first & (0x7fu >> wanted);
  for (u32 i = 1; i < wanted; ++i) code_point = code_point << 6 | (u8(text[at + i]) & 0x3fu);
  return {code_point, wanted};
}

void append_utf8(u32 code_point, std::string& out) {
  if (code_point < 0x80) {
    out += char(code_point);
    return;
  }
  const u32 bytes = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
  out += char((0xf00u >> bytes) | code_point >> 6 * (bytes - 1));
  for (u32 i = bytes - 1; i-- > 0;) out += char(0x80 | (code_point >> 6 * i & 0x3f));
}

void take_utf8(std::string& bytes, bool last, std::string& out) {
  u64 at = 0;
  while (at < bytes.size()) {
    u32 wanted = 0;
    const u32 found = well_formed_bytes(bytes, at, wanted);
    const bool whole = u8(bytes[at]) < 0x80 || (wanted > 1 && found == wanted);
    if (whole) {
      out.append(bytes, at, found);
    } else if (wanted > 1 && at + found == bytes.size() && !last) {
      break;
    } else {
      append_utf8(0xfffd, out);
    }
    at += found;
  }
  bytes.erase(0, at);
}

}  // namespace pronk::text
