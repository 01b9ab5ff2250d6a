#include "text/split_pattern.h"

#include <algorithm>

#include "base/check.h"

namespace pronk::text {
namespace {

constexpr u32 unlimited = ~u32{0};
constexpr u64 no_match = ~u64{0};

constexpr u32 bit(CharClass c) { return u32{1} << u32(c); }

struct NamedClass {
  std::string_view name;  // inside of \p{}
  u32 classes;
};
constexpr u32 letters = bit(CharClass::upper) | bit(CharClass::lower) | bit(CharClass::letter);
constexpr NamedClass named_classes[] = {
    {"L", letters},
    {"Lu", bit(CharClass::upper)},  // with Lt, next to which it always stands
    {"Lt", bit(CharClass::upper)},
    {"Ll", bit(CharClass::lower)},
    {"Lm", bit(CharClass::letter)},  // with Lo, likewise
    {"Lo", bit(CharClass::letter)},
    {"M", bit(CharClass::mark) | bit(CharClass::spacing_mark)},
    {"N", bit(CharClass::digit) | bit(CharClass::number)},
    {"P", bit(CharClass::punctuation)},
    {"S", bit(CharClass::symbol)},
};

// Script=Han of Scripts.txt, Unicode 15.
constexpr std::pair<u32, u32> han[] = {
    {0x2e80, 0x2e99},   {0x2e9b, 0x2ef3},   {0x2f00, 0x2fd5},   {0x3005, 0x3005},   {0x3007, 0x3007},
    {0x3021, 0x3029},   {0x3038, 0x303b},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfa6d},
    {0xfa70, 0xfad9},   {0x16fe2, 0x16fe3}, {0x16ff0, 0x16ff1}, {0x20000, 0x2a6df}, {0x2a700, 0x2b739},
    {0x2b740, 0x2b81d}, {0x2b820, 0x2cea1}, {0x2ceb0, 0x2ebe0}, {0x2f800, 0x2fa1d}, {0x30000, 0x3134a},
    {0x31350, 0x323af},
};

char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c; }

}  // namespace

bool CharSet::has(u32 code_point) const {
  if (code_point < 128) return ascii[code_point];
  bool found = classes != 0 && (classes >> u32(class_of(code_point)) & 1) != 0;
  if (!found && !ranges.empty()) {
    const auto after = std::upper_bound(ranges.begin(), ranges.end(), std::pair(code_point, unlimited));
    found = after != ranges.begin() && code_point <= after[-1].second;
  }
  if (found == negated) return false;
  return std::all_of(also.begin(), also.end(), [&](const CharSet& set) { return set.has(code_point); });
}

class PatternParser {
 public:
  explicit PatternParser(std::string_view pattern) : left_(pattern) {}

  std::vector<SplitPattern::Alternative> run() {
    std::vector<SplitPattern::Alternative> out(1);
    while (!left_.empty()) {
      if (take("|")) {
        out.emplace_back();
      } else if (take("(?!\\S)")) {
        out.back().before_space = true;
        CHECK(left_.empty() || left_[0] == '|');
      } else {
        out.back().items.push_back(item());
      }
    }
    return out;
  }

 private:
  bool take(std::string_view what) {
    if (!left_.starts_with(what)) return false;
    left_.remove_prefix(what.size());
    return true;
  }

  u32 take_char() {
    CHECK(!left_.empty());
    const DecodedChar c = decode_char(left_, 0);
    left_.remove_prefix(c.bytes);
    return c.code_point;
  }

  std::string_view take_until(char end) {
    const u64 at = left_.find(end);
    CHECK(at != std::string_view::npos);
    const std::string_view out = left_.substr(0, at);
    left_.remove_prefix(at + 1);
    return out;
  }

  SplitPattern::Item item() {
    SplitPattern::Item out;
    if (take("(?i:")) {
      std::string_view words = take_until(')');
      while (!words.empty()) {
        const u64 end = std::min<u64>(words.find('|'), words.size());
        out.words.emplace_back(words.substr(0, end));
        words.remove_prefix(std::min<u64>(end + 1, words.size()));
      }
    } else if (take("[")) {
      out.set = set();
    } else {
      add_char(out.set, false);
      finish(out.set);
    }
    quantifier(out);
    return out;
  }

  void quantifier(SplitPattern::Item& out) {
    if (take("?")) {
      out.min = 0;
    } else if (take("*")) {
      out.min = 0, out.max = unlimited;
    } else if (take("+")) {
      out.max = unlimited;
    } else if (take("{")) {
      out.min = out.max = number();
      if (take(",")) out.max = number();
      CHECK(take("}"));
    }
    if (out.min != 1 || out.max != 1) out.possessive = take("+");
    CHECK(out.words.empty() || out.max == 1);
  }

  u32 number() {
    u32 value = 0;
    for (; !left_.empty() && left_[0] >= '0' && left_[0] <= '9'; left_.remove_prefix(1)) {
      value = value * 10 + u32(left_[0] - '0');
    }
    return value;
  }

  // After the opening bracket.
  CharSet set() {
    CharSet out;
    out.negated = take("^");
    while (!take("]")) {
      if (take("&&[")) {
        out.also.push_back(set());
      } else {
        add_char(out, true);
      }
    }
    finish(out);
    return out;
  }

  // A character, an escape or, inside of a set, a range.
  void add_char(CharSet& out, bool inside) {
    u32 first = take_char();
    if (first == '\\') {
      first = take_char();
      if (first == 's') {
        out.classes |= bit(CharClass::space);
        return;
      }
      if (first == 'p') {
        CHECK(take("{"));
        add_named(take_until('}'), out);
        return;
      }
      if (first == 'u') first = take_hex();
      constexpr std::string_view letter = "rnt", meaning = "\r\n\t";
      const u64 at = first < 0x80 ? letter.find(char(first)) : std::string_view::npos;
      if (at != std::string_view::npos) first = u8(meaning[at]);
    }
    u32 last = first;
    if (inside && left_.size() > 1 && left_[0] == '-' && left_[1] != ']') {
      left_.remove_prefix(1);
      last = take("\\u") ? take_hex() : (take("\\"), take_char());
    }
    out.ranges.emplace_back(first, last);
  }

  // Four digits after \u.
  u32 take_hex() {
    u32 value = 0;
    for (u32 i = 0; i < 4; ++i) {
      const u32 digit = take_char();
      value = value << 4 | (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    return value;
  }

  static void add_named(std::string_view name, CharSet& out) {
    if (name == "Han") {
      out.ranges.insert(out.ranges.end(), std::begin(han), std::end(han));
      return;
    }
    const auto* found = std::find_if(std::begin(named_classes), std::end(named_classes),
                                     [&](const NamedClass& entry) { return entry.name == name; });
    CHECK(found != std::end(named_classes));
    out.classes |= found->classes;
  }

  static void finish(CharSet& out) {
    for (u32 c = 0; c < 128; ++c) {
      const auto in_range = [&](const auto& range) { return range.first <= c && c <= range.second; };
      const bool found =
          (out.classes >> u32(class_of(c)) & 1) != 0 || std::any_of(out.ranges.begin(), out.ranges.end(), in_range);
      const auto allows = [&](const CharSet& set) { return bool(set.ascii[c]); };
      out.ascii[c] = found != out.negated && std::all_of(out.also.begin(), out.also.end(), allows);
    }
    std::erase_if(out.ranges, [](const auto& range) { return range.second < 128; });
    std::sort(out.ranges.begin(), out.ranges.end());
    u64 kept = 0;  // ranges that overlap become one
    for (const auto& range : out.ranges) {
      if (kept > 0 && range.first <= out.ranges[kept - 1].second) {
        out.ranges[kept - 1].second = std::max(out.ranges[kept - 1].second, range.second);
      } else {
        out.ranges[kept++] = range;
      }
    }
    out.ranges.resize(kept);
  }

  std::string_view left_;
};

// One alternative at one place. Giving back goes character by character; of two items beside each other at most one
// takes many characters that the other refuses, so that an attempt looks at each character a few times only.
class Attempt {
 public:
  Attempt(std::string_view text, u64 end, const SplitPattern::Alternative& alternative)
      : text_(text.substr(0, end)), alternative_(alternative) {}

  u64 match(u64 at, u64 index) const {
    if (index == alternative_.items.size()) return !alternative_.before_space || is_before_space(at) ? at : no_match;
    const SplitPattern::Item& item = alternative_.items[index];
    return item.words.empty() ? match_set(item, at, index) : match_words(item, at, index);
  }

 private:
  u64 match_set(const SplitPattern::Item& item, u64 start, u64 index) const {
    u64 at = start;
    u32 count = 0;
    while (count < item.max) {
      const u32 bytes = bytes_in(item.set, at);
      if (bytes == 0) break;
      at += bytes;
      ++count;
    }
    for (;; --count, at = before(start, at)) {
      if (count < item.min) return no_match;
      const u64 end = match(at, index + 1);
      if (end != no_match || item.possessive || count == 0) return end;
    }
  }

  u64 match_words(const SplitPattern::Item& item, u64 start, u64 index) const {
    for (const std::string& word : item.words) {
      u64 same = 0;
      while (same < word.size() && start + same < text_.size() && lower_ascii(text_[start + same]) == word[same]) {
        ++same;
      }
      if (same < word.size()) continue;
      if (const u64 end = match(start + same, index + 1); end != no_match) return end;
    }
    return item.min == 0 ? match(start, index + 1) : no_match;
  }

  // Bytes of the character at `at` when it is in the set, else 0.
  u32 bytes_in(const CharSet& set, u64 at) const {
    if (at == text_.size()) return 0;
    const u8 byte = u8(text_[at]);
    if (byte < 0x80) return set.ascii[byte] ? 1 : 0;
    const DecodedChar c = decode_char(text_, at);
    return set.has(c.code_point) ? c.bytes : 0;
  }

  // Where the character that ends at `at` starts, which is not before `start`.
  u64 before(u64 start, u64 at) const {
    for (u64 bytes = 2; bytes <= 4 && start + bytes <= at; ++bytes) {
      if (decode_char(text_, at - bytes).bytes == bytes) return at - bytes;
    }
    return at - 1;
  }

  bool is_before_space(u64 at) const {
    return at == text_.size() || class_of(decode_char(text_, at).code_point) == CharClass::space;
  }

  std::string_view text_;
  const SplitPattern::Alternative& alternative_;
};

SplitPattern::SplitPattern(std::string_view pattern) : alternatives_(PatternParser(pattern).run()) {
  CHECK(alternatives_.size() <= 32);
  for (u64 n = 0; n < alternatives_.size(); ++n) {
    for (const Item& item : alternatives_[n].items) {
      for (u32 c = 0; c < 128; ++c) {
        const auto begins = [&](const std::string& word) { return u8(word[0]) == u8(lower_ascii(char(c))); };
        const bool starts =
            item.words.empty() ? bool(item.set.ascii[c]) : std::any_of(item.words.begin(), item.words.end(), begins);
        if (starts) starts_[c] |= u32{1} << n;
      }
      if (item.min > 0) break;
    }
  }
}

u64 SplitPattern::match(std::string_view text, u64 start, u64 end) const {
  const u8 first = u8(text[start]);
  for (u64 n = 0; n < alternatives_.size(); ++n) {
    if (first < 0x80 && (starts_[first] >> n & 1) == 0) continue;
    const u64 found = Attempt(text, end, alternatives_[n]).match(start, 0);
    if (found != no_match && found > start) return found;
  }
  return start;
}

void SplitPattern::split(std::string_view text, u64 start, u64 end, std::vector<u32>& ends) const {
  u64 at = start;
  while (at < end) {
    const u64 found = match(text, at, end);
    if (found == at) {
      at += decode_char(text.substr(0, end), at).bytes;
      continue;
    }
    if (at > start) ends.push_back(u32(at));
    ends.push_back(u32(found));
    start = at = found;
  }
  if (at > start) ends.push_back(u32(at));
}

}  // namespace pronk::text
