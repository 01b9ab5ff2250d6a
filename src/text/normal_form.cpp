#include "text/normal_form.h"

#include <algorithm>
#include <vector>

#include "text/unicode.h"

namespace pronk::text {
namespace {

constexpr u32 hangul = 0xac00, hangul_end = 0xd7a4, leading = 0x1100, vowel = 0x1161, trailing = 0x11a7;
constexpr u32 vowels = 21, trailings = 28, leadings = 19;  // trailings: with none
constexpr u32 raw_byte = 0x110000;                         // a byte that is no UTF-8, as a character of its own

class Unpacker {
 public:
  explicit Unpacker(std::span<const u8> bytes) : bytes_(bytes) {}
  bool done() const { return at_ == bytes_.size(); }
  u32 number() {
    u32 value = 0, shift = 0;
    for (; bytes_[at_] & 0x80; shift += 7) value |= u32(bytes_[at_++] & 0x7f) << shift;
    return value | u32(bytes_[at_++]) << shift;
  }
  u32 signed_number() {
    const u32 value = number();
    return value & 1 ? ~(value >> 1) : value >> 1;
  }

 private:
  std::span<const u8> bytes_;
  u64 at_ = 0;
};

// The packed tables of unicode.h, unpacked once.
class Tables {
 public:
  struct Entry {
    u32 code_point, kind, parts, count;  // parts: where they lie in parts_
  };

  Tables() {
    unpack_decompositions();
    for (Unpacker in(packed_combining_classes); !in.done();) {
      const u32 first = (classes_.empty() ? 0 : classes_.back().last) + in.number();
      const u32 last = first + in.number();
      classes_.push_back({first, last, in.number()});
    }
  }

  const Entry* find(u32 code_point) const {
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), code_point,
                                     [](const Entry& entry, u32 value) { return entry.code_point < value; });
    return at != entries_.end() && at->code_point == code_point ? &*at : nullptr;
  }

  // Calls visit with each character that is left of the whole decomposition.
  template <class Visit>
  void decompose(u32 code_point, bool compatible, Visit& visit) const {
    if (code_point >= hangul && code_point < hangul_end) {  // Unicode 3.12
      const u32 index = code_point - hangul, last = index % trailings;
      visit(leading + index / (vowels * trailings));
      visit(vowel + index % (vowels * trailings) / trailings);
      if (last) visit(trailing + last);
      return;
    }
    const Entry* entry = code_point < 0xa0 ? nullptr : find(code_point);
    if (!entry || (entry->kind >= 4 && !compatible)) return visit(code_point);
    for (u32 i = 0; i < entry->count; ++i) decompose(parts_[entry->parts + i], compatible, visit);
  }

  u32 combining_class(u32 code_point) const {
    const auto after = std::upper_bound(classes_.begin(), classes_.end(), code_point,
                                        [](u32 value, const ClassRange& range) { return value < range.first; });
    return after == classes_.begin() || code_point > after[-1].last ? 0 : after[-1].combining;
  }

  // What two characters are together; 0: they stay two.
  u32 compose(u32 first, u32 second) const {
    if (first >= leading && first < leading + leadings && second >= vowel && second < vowel + vowels) {
      return hangul + ((first - leading) * vowels + second - vowel) * trailings;
    }
    const bool open = first >= hangul && first < hangul_end && (first - hangul) % trailings == 0;
    if (open && second > trailing && second < trailing + trailings) return first + second - trailing;
    const u64 key = u64{first} << 32 | second;
    const auto at = std::lower_bound(pairs_.begin(), pairs_.end(), std::pair(key, u32{0}));
    return at != pairs_.end() && at->first == key ? at->second : 0;
  }

 private:
  struct ClassRange {
    u32 first, last, combining;
  };

  void unpack_decompositions() {
    u32 code_point = 0, part = 0;
    std::vector<u32> parts;
    for (Unpacker in(packed_decompositions); !in.done();) {
      code_point += in.number();
      const u32 code = in.number(), kind = code & 15, more = code >> 4;
      const u32 count = kind == 15 ? in.number() : kind > 4 ? kind - 4 : std::min(kind, 2u);
      parts.clear();
      for (u32 i = 0; i < count; ++i) parts.push_back(part += in.signed_number());
      for (u32 i = 0; i <= more; ++i) {
        entries_.push_back({code_point + i, kind, u32(parts_.size()), count});
        if (kind == 3) pairs_.emplace_back(u64{parts[0] + i} << 32 | parts[1], code_point + i);
        parts_.push_back(parts[0] + i);
        parts_.insert(parts_.end(), parts.begin() + 1, parts.end());
      }
      code_point += more;
      part = parts[0] + more;
    }
    std::sort(pairs_.begin(), pairs_.end());
  }

  std::vector<Entry> entries_;
  std::vector<u32> parts_;
  std::vector<std::pair<u64, u32>> pairs_;  // first << 32 | second, and what they compose to
  std::vector<ClassRange> classes_;
};

const Tables& tables() {
  static const Tables unpacked;
  return unpacked;
}

// Sorts marks in a row by their combining class; those of one class keep their order.
void reorder(std::vector<u32>& chars) {
  std::vector<u64> marks;
  const auto flush = [&](u64 end) {
    if (marks.size() > 1) std::sort(marks.begin(), marks.end());
    for (u64 i = 0; i < marks.size(); ++i) chars[end - marks.size() + i] = u32(marks[i] & 0x1fffff);
    marks.clear();
  };
  for (u64 i = 0; i < chars.size(); ++i) {
    const u64 combining = chars[i] < 0x300 ? 0 : tables().combining_class(chars[i]);
    if (combining == 0) {
      flush(i);
    } else {
      marks.push_back(combining << 56 | u64(marks.size()) << 21 | chars[i]);
    }
  }
  flush(chars.size());
}

// Joins characters with what follows them and is not kept apart by a mark of the same class or a higher one.
void compose(std::vector<u32>& chars) {
  u64 kept = 0, starter = 0;
  bool has_starter = false;
  u32 last_class = 0;
  for (u64 i = 0; i < chars.size(); ++i) {
    const u32 c = chars[i], combining = c < 0x300 ? 0 : tables().combining_class(c);
    const bool adjacent = has_starter && kept == starter + 1;
    if (has_starter && (adjacent || last_class < combining)) {
      if (const u32 whole = tables().compose(chars[starter], c)) {
        chars[starter] = whole;
        continue;
      }
    }
    if (combining == 0) starter = kept, has_starter = true;
    last_class = combining;
    chars[kept++] = c;
  }
  chars.resize(kept);
}

}  // namespace

BaseChars base_chars(u32 code_point) {
  BaseChars out;
  const auto add = [&](u32 c) {
    if (class_of(c) != CharClass::mark && out.count < 3) out.chars[out.count++] = c;
  };
  tables().decompose(code_point, false, add);
  return out;
}

void append_normal_form(std::string_view text, bool compatible, bool composed, std::string& out) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return u8(c) < 0x80; })) {
    out += text;
    return;
  }
  std::vector<u32> chars;
  const auto add = [&](u32 c) { chars.push_back(c); };
  for (u64 at = 0; at < text.size();) {
    const DecodedChar c = decode_char(text, at);
    const bool ill_formed = c.bytes == 1 && c.code_point == 0xfffd;
    ill_formed ? add(raw_byte + u8(text[at])) : tables().decompose(c.code_point, compatible, add);
    at += c.bytes;
  }
  reorder(chars);
  if (composed) compose(chars);
  for (const u32 c : chars) c >= raw_byte ? void(out += char(c - raw_byte)) : append_utf8(c, out);
}

}  // namespace pronk::text
