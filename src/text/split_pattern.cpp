#include "text/split_pattern.h"

#include <algorithm>

#include "base/check.h"
#include "base/quote.h"

namespace pronk::text {
namespace {

constexpr u32 unlimited = ~u32{0};
constexpr u64 no_match = ~u64{0};
constexpr u32 most_repeats = 1000;     // that a pattern may count
constexpr u64 most_ways = 64;          // to take the optional parts of an alternative
constexpr u64 longest_pattern = 4096;  // bytes
constexpr u64 most_items = 64;         // of an alternative
constexpr u32 deepest_set = 8;         // sets within each other

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
    {"Nd", bit(CharClass::digit)},
    {"C", bit(CharClass::control)},  // but for what is white space or unassigned
    {"s", bit(CharClass::space)},
    {"d", bit(CharClass::digit)},
    {"w", letters | bit(CharClass::mark) | bit(CharClass::spacing_mark) | bit(CharClass::digit)},  // and word_symbols
};

// What belongs to words besides (Unicode TR 18, annex C): numbers that are letters, letters in circles and squares,
// connecting punctuation, joiners.
constexpr std::pair<u32, u32> word_symbols[] = {
    {0x5f, 0x5f},       {0x16ee, 0x16f0},   {0x200c, 0x200d},   {0x203f, 0x2040},   {0x2054, 0x2054},
    {0x2160, 0x2182},   {0x2185, 0x2188},   {0x24b6, 0x24e9},   {0x3007, 0x3007},   {0x3021, 0x3029},
    {0x3038, 0x303a},   {0xa6e6, 0xa6ef},   {0xfe33, 0xfe34},   {0xfe4d, 0xfe4f},   {0xff3f, 0xff3f},
    {0x10140, 0x10174}, {0x10341, 0x10341}, {0x1034a, 0x1034a}, {0x103d1, 0x103d5}, {0x12400, 0x1246e},
    {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189},
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
  const auto has_it = [&](const CharSet& set) { return set.has(code_point); };
  found = found || std::any_of(any.begin(), any.end(), has_it);
  if (found == negated) return false;
  return std::all_of(also.begin(), also.end(), has_it);
}

// The first error is kept, and ends the parsing.
class PatternParser {
 public:
  explicit PatternParser(std::string_view pattern) : left_(pattern) {}

  Result<std::vector<SplitPattern::Alternative>> run() {
    std::vector<SplitPattern::Alternative> out(1);
    if (left_.size() > longest_pattern) wrong("it is too long");
    while (!left_.empty()) {
      if (take("|")) {
        out.emplace_back();
      } else if (out.back().end != SplitPattern::End::anywhere) {
        wrong("something follows (?!\\S) or $");
      } else if (take("(?!\\S)")) {
        out.back().end = SplitPattern::End::before_space;
      } else if (take("$")) {
        out.back().end = SplitPattern::End::line;
      } else {
        out.back().items.push_back(item());
      }
    }
    for (const SplitPattern::Alternative& alternative : out) check(alternative);
    if (out.size() > 32) wrong("it has more than 32 alternatives");
    if (!error_.empty()) return fail(ErrorCode::unsupported, error_);
    return out;
  }

 private:
  void wrong(std::string_view text) {
    if (error_.empty()) error_ = text;
    left_ = {};
  }

  // What an attempt may cost: after a second repeat without a limit nothing may fail, so that only one of them gives
  // back characters for what follows, and bounded ones multiply to little.
  void check(const SplitPattern::Alternative& alternative) {
    if (alternative.items.size() > most_items) return wrong("it is too long");
    u64 ways = 1, unbounded = 0;
    bool may_be_empty = true;
    for (const SplitPattern::Item& item : alternative.items) {
      may_be_empty = may_be_empty && item.min == 0;
      if (unbounded >= 2 && item.min > 0) return wrong("something must follow two repeats without a limit");
      if (item.max == unlimited) {
        ++unbounded;
      } else if (item.max < item.min || item.max > most_repeats) {
        return wrong("the count of a repeat");
      } else {
        ways = std::min<u64>(ways * (item.max - item.min + 1), most_ways + 1);
      }
      if (item.min > most_repeats) return wrong("the count of a repeat");
    }
    if (may_be_empty) return wrong("it matches the empty text");
    if (ways > most_ways) return wrong("too many optional parts");
    if (unbounded > 2 || (unbounded == 2 && alternative.end != SplitPattern::End::anywhere)) {
      wrong("several repeats without a limit");
    }
  }

  bool take(std::string_view what) {
    if (!left_.starts_with(what)) return false;
    left_.remove_prefix(what.size());
    return true;
  }

  u32 take_char() {
    if (left_.empty()) {
      wrong("it ends too early");
      return 0;
    }
    const DecodedChar c = decode_char(left_, 0);
    left_.remove_prefix(c.bytes);
    return c.code_point;
  }

  std::string_view take_until(char end) {
    const u64 at = left_.find(end);
    if (at == std::string_view::npos) {
      wrong("something is not closed");
      return {};
    }
    const std::string_view out = left_.substr(0, at);
    left_.remove_prefix(at + 1);
    return out;
  }

  SplitPattern::Item item() {
    SplitPattern::Item out;
    if (take("(?i:")) {
      out.words = words(take_until(')'));
    } else if (take("[")) {
      out.set = set(0);
    } else if (std::string_view("(){}*+?^]").find(left_[0]) != std::string_view::npos) {
      wrong(quoted(left_.substr(0, 8)) + " is not supported in it");
    } else if (take(".")) {
      out.set.negated = true;
      out.set.ranges.emplace_back('\n', '\n');
      finish(out.set);
    } else {
      add_char(out.set, false);
      finish(out.set);
    }
    quantifier(out);
    return out;
  }

  std::vector<std::string> words(std::string_view list) {
    std::vector<std::string> out;
    for (;;) {
      const u64 end = std::min<u64>(list.find('|'), list.size());
      out.emplace_back(list.substr(0, end));
      const auto is_plain = [](char c) { return c == '\'' || c == ' ' || (c >= 'a' && c <= 'z'); };
      if (out.back().empty() || !std::all_of(out.back().begin(), out.back().end(), is_plain)) {
        wrong(quoted(list) + " is not supported after (?i:");
        return out;
      }
      if (end == list.size()) return out;
      list.remove_prefix(end + 1);
    }
  }

  void quantifier(SplitPattern::Item& out) {
    bool counted = false;
    if (take("?")) {
      out.min = 0;
    } else if (take("*")) {
      out.min = 0, out.max = unlimited;
    } else if (take("+")) {
      out.max = unlimited;
    } else if (take("{")) {
      counted = true;
      out.min = out.max = number();
      if (take(",")) out.max = left_.starts_with("}") ? unlimited : number();
      if (!take("}")) wrong("the count of a repeat");
    } else {
      return;
    }
    if (!counted) out.possessive = take("+");
    if (left_.starts_with("?") || left_.starts_with("*") || left_.starts_with("+")) wrong("a repeat of a repeat");
    if (!out.words.empty() && out.max > 1) wrong("a repeat of (?i:");
  }

  u32 number() {
    u32 value = 0;
    if (left_.empty() || left_[0] < '0' || left_[0] > '9') wrong("the count of a repeat");
    for (; !left_.empty() && left_[0] >= '0' && left_[0] <= '9'; left_.remove_prefix(1)) {
      value = std::min(value * 10 + u32(left_[0] - '0'), most_repeats + 1);
    }
    return value;
  }

  // After the opening bracket. A set inside of it adds what it has.
  CharSet set(u32 depth) {
    CharSet out;
    if (depth > deepest_set) wrong("sets within sets");
    out.negated = take("^");
    while (error_.empty() && !take("]")) {
      if (take("&&[")) {
        out.also.push_back(set(depth + 1));
      } else if (take("[:") || take("&&")) {
        wrong("[: and && are not supported in it");
      } else if (take("[")) {
        out.any.push_back(set(depth + 1));
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
      if (first == 'p' || first == 'P' || first == 's' || first == 'S' || first == 'd' || first == 'D' ||
          first == 'w' || first == 'W') {
        add_class(char(first), out);
        return;
      }
      first = escaped(first);
    }
    u32 last = first;
    if (inside && left_.size() > 1 && left_[0] == '-' && left_[1] != ']') {
      left_.remove_prefix(1);
      last = take_char();
      if (last == '\\') last = escaped(take_char());
      if (last < first) wrong("a range that ends before it begins");
    }
    out.ranges.emplace_back(first, last);
  }

  // A class after a backslash; a capital means all others.
  void add_class(char letter, CharSet& out) {
    CharSet found;
    found.negated = letter < 'a';
    const char small = char(letter | 0x20);
    if (small == 'p') {
      if (!take("{")) return wrong("\\p without {");
      if (take("^")) found.negated = !found.negated;
      add_named(take_until('}'), found);
    } else {
      add_named(std::string_view(&small, 1), found);
    }
    if (!found.negated) {
      out.classes |= found.classes;
      out.ranges.insert(out.ranges.end(), found.ranges.begin(), found.ranges.end());
      return;
    }
    finish(found);
    out.any.push_back(std::move(found));
  }

  // The character that a letter after a backslash stands for.
  u32 escaped(u32 letter) {
    constexpr std::string_view letters = "rntfv", meaning = "\r\n\t\f\v";
    if (letter == 'u') return take_hex(4);
    if (letter == 'x') return take("{") ? hex(take_until('}')) : take_hex(2);
    const u64 at = letter < 0x80 ? letters.find(char(letter)) : std::string_view::npos;
    if (at != std::string_view::npos) return u8(meaning[at]);
    const bool is_word = (letter >= '0' && letter <= '9') || ((letter | 0x20) >= 'a' && (letter | 0x20) <= 'z');
    if (is_word) wrong("\\" + std::string(1, char(letter)) + " is not supported in it");
    return letter;
  }

  u32 take_hex(u64 digits) {
    const std::string_view found = left_.substr(0, digits);
    if (found.size() < digits) {
      wrong("a number that ends too early");
      return 0;
    }
    left_.remove_prefix(digits);
    return hex(found);
  }

  u32 hex(std::string_view digits) {
    u32 value = 0;
    for (const char c : digits) {
      const char small = char(c | 0x20);
      const bool decimal = c >= '0' && c <= '9';
      if ((!decimal && (small < 'a' || small > 'f')) || value > 0x10ffff)
        return wrong("a number that is no character"), 0;
      value = value << 4 | u32(decimal ? c - '0' : small - 'a' + 10);
    }
    if (value > 0x10ffff) wrong("a number that is no character");
    return value;
  }

  void add_named(std::string_view name, CharSet& out) {
    if (name == "Han" || name == "Script=Han" || name == "sc=Han") {
      out.ranges.insert(out.ranges.end(), std::begin(han), std::end(han));
      return;
    }
    if (name == "w") out.ranges.insert(out.ranges.end(), std::begin(word_symbols), std::end(word_symbols));
    const auto* found = std::find_if(std::begin(named_classes), std::end(named_classes),
                                     [&](const NamedClass& entry) { return entry.name == name; });
    if (found == std::end(named_classes)) return wrong("the class " + quoted(name) + " is not supported in it");
    out.classes |= found->classes;
  }

  static void finish(CharSet& out) {
    for (u32 c = 0; c < 128; ++c) {
      const auto in_range = [&](const auto& range) { return range.first <= c && c <= range.second; };
      const auto allows = [&](const CharSet& set) { return bool(set.ascii[c]); };
      const bool found = (out.classes >> u32(class_of(c)) & 1) != 0 ||
                         std::any_of(out.ranges.begin(), out.ranges.end(), in_range) ||
                         std::any_of(out.any.begin(), out.any.end(), allows);
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
  std::string error_;
};

// One alternative at one place. Giving back goes character by character; of two items beside each other at most one
// takes many characters that the other refuses, so that an attempt looks at each character a few times only.
class Attempt {
 public:
  Attempt(std::string_view text, u64 end, const SplitPattern::Alternative& alternative)
      : text_(text.substr(0, end)), alternative_(alternative) {}

  u64 match(u64 at, u64 index) const {
    if (index == alternative_.items.size()) return may_end(at) ? at : no_match;
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

  bool may_end(u64 at) const {
    if (alternative_.end == SplitPattern::End::anywhere || at == text_.size()) return true;
    if (alternative_.end == SplitPattern::End::line) return text_[at] == '\n';
    return class_of(decode_char(text_, at).code_point) == CharClass::space;
  }

  std::string_view text_;
  const SplitPattern::Alternative& alternative_;
};

Result<SplitPattern> SplitPattern::parse(std::string_view pattern) {
  auto alternatives = PatternParser(pattern).run();
  if (!alternatives) {
    return fail(alternatives.error().code,
                "the regular expression " + quoted(pattern) + ": " + alternatives.error().message);
  }
  return SplitPattern(std::move(*alternatives));
}

SplitPattern SplitPattern::of_text(std::string_view text) {
  Alternative alternative;
  for (u64 at = 0; at < text.size();) {
    const DecodedChar c = decode_char(text, at);
    at += c.bytes;
    Item item;
    item.set.ranges.emplace_back(c.code_point, c.code_point);
    if (c.code_point < 128) item.set.ascii.set(c.code_point);
    alternative.items.push_back(std::move(item));
  }
  CHECK(!alternative.items.empty());
  return SplitPattern({std::move(alternative)});
}

SplitPattern::SplitPattern(std::string_view pattern) {
  auto parsed = parse(pattern);
  CHECK(parsed.has_value());
  *this = std::move(*parsed);
}

SplitPattern::SplitPattern(std::vector<Alternative> alternatives) : alternatives_(std::move(alternatives)) {
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

u64 SplitPattern::next_start(std::string_view text, u64 start, u64 end) const {
  const Item& first = alternatives_[0].items[0];
  const bool runs = alternatives_.size() == 1 && first.max == unlimited && first.min <= 1 && first.words.empty();
  do {
    const DecodedChar c = decode_char(text.substr(0, end), start);
    start += c.bytes;
    if (!runs || !first.set.has(c.code_point)) return start;
  } while (start < end);
  return start;
}

void SplitPattern::split(std::string_view text, u64 start, u64 end, std::vector<u32>& ends) const {
  u64 at = start;
  while (at < end) {
    const u64 found = match(text, at, end);
    if (found == at) {
      at = next_start(text, at, end);
      continue;
    }
    if (at > start) ends.push_back(u32(at));
    ends.push_back(u32(found));
    start = at = found;
  }
  if (at > start) ends.push_back(u32(at));
}

}  // namespace pronk::text
