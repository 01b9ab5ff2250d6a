#include "files/json.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/quote.h"

namespace pronk::files {

namespace {

constexpr u32 no_key = ~u32{0};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Bytes of the UTF-8 character at the start of `text`; 0 when there is no well-formed one (Unicode 3.9, table 3-7).
u32 utf8_length(std::string_view text) {
  const u8 first = u8(text[0]);
  if (first < 0x80) return 1;
  const u32 length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  const u8 lowest = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const u8 highest = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (u8(text[1]) < lowest || u8(text[1]) > highest) return 0;
  for (u32 i = 2; i < length; ++i) {
    if ((u8(text[i]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

char* put_utf8(u32 code, char* out) {
  if (code < 0x80) {
    *out++ = char(code);
    return out;
  }
  const u32 more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  *out++ = char((0xff00 >> (more + 1)) | (code >> 6 * more));
  for (u32 i = more; i-- > 0;) *out++ = char(0x80 | (code >> 6 * i & 0x3f));
  return out;
}

// A decimal number as mantissa · 2^exponent with 120 bits and more, so that one rounding makes the double.
class Decimal {
 public:
  void add_digit(u32 digit) {
    if (mantissa_ >> 120 != 0) {
      ++dropped_;
    } else {
      mantissa_ = 10 * mantissa_ + digit;
    }
  }
  void scale(i32 power) {
    if (mantissa_ == 0) return;
    power = std::clamp(power + dropped_, least_power, largest_power);
    for (; power > 0; --power) times_ten();
    for (; power < 0; ++power) by_ten();
  }
  double value() const { return std::ldexp(double(mantissa_), exponent_); }

 private:
  void times_ten() {
    while (mantissa_ >> 124 != 0) shift(-1);
    mantissa_ *= 10;
  }
  void by_ten() {
    while (mantissa_ >> 127 == 0) shift(1);
    Wide quotient = 0;
    u64 rest = 0;
    for (u32 bit = 128; bit > 0; bit -= 32) {
      rest = rest << 32 | u64(mantissa_ >> (bit - 32) & 0xffffffff);
      quotient = quotient << 32 | rest / 10;
      rest %= 10;
    }
    mantissa_ = quotient;
  }
  void shift(i32 left) {
    mantissa_ = left > 0 ? mantissa_ << 1 : mantissa_ >> 1;
    exponent_ -= left;
  }

  // Beyond these every mantissa, which is from 1 to 2^124, gives zero or infinity.
  static constexpr i32 least_power = -370, largest_power = 310;

  using Wide = unsigned __int128;
  Wide mantissa_ = 0;
  i32 exponent_ = 0;
  i32 dropped_ = 0;  // digits that no longer count
};

}  // namespace

class JsonParser {
 public:
  explicit JsonParser(std::string text) { json_.text_ = std::move(text); }

  Result<Json> run() {
    if (json_.text_.size() > max_json_bytes) {
      return fail("JSON of " + std::to_string(json_.text_.size()) + " bytes is longer than " +
                  std::to_string(max_json_bytes));
    }
    PRONK_OK(value());
    while (!open_.empty()) PRONK_OK(step());
    skip_space();
    if (at_ != json_.text_.size()) return wrong("the end of the text");
    json_.nodes_.shrink_to_fit();
    return std::move(json_);
  }

 private:
  char peek() const { return json_.text_[at_]; }  // NUL at the end, which no rule takes
  char opened() const { return json_.text_[json_.nodes_[open_.back()].start]; }

  std::unexpected<Error> bad(std::string_view what) const {
    return fail(ErrorCode::bad_model, "JSON: " + std::string(what) + " at byte " + std::to_string(at_));
  }
  std::unexpected<Error> wrong(std::string_view expected) const {
    if (at_ == json_.text_.size()) return bad("the text ends where " + std::string(expected) + " should stand,");
    return bad(quoted(json_.text_.substr(at_, 1)) + " in place of " + std::string(expected));
  }

  void skip_space() {
    while (is_space(peek())) ++at_;
  }

  // What follows an opening bracket or a value inside of one: a value, a comma and a value, or the end of it.
  Status step() {
    const bool first = json_.nodes_.size() == open_.back() + 1u;
    const bool object = opened() == '{';
    skip_space();
    if (peek() == (object ? '}' : ']')) return close();
    if (!first) {
      if (peek() != ',') return wrong(object ? "',' or '}'" : "',' or ']'");
      ++at_;
    }
    if (!object) return value();
    skip_space();
    if (peek() != '"') return wrong("a key");
    PRONK_OK(string());
    skip_space();
    if (peek() != ':') return wrong("':'");
    ++at_;
    return value();
  }

  // A value, or the opening of one.
  Status value() {
    skip_space();
    switch (peek()) {
      case '"':
        return string();
      case 't':
        return literal("true");
      case 'f':
        return literal("false");
      case 'n':
        return literal("null");
      case '[':
      case '{':
        return open();
      default:
        return number();
    }
  }

  void add_node() { json_.nodes_.push_back({u32(at_), 0}); }

  Status open() {
    if (open_.size() == max_json_depth) {
      return bad("arrays and objects nested deeper than " + std::to_string(max_json_depth));
    }
    open_.push_back(u32(json_.nodes_.size()));
    add_node();
    ++at_;
    return {};
  }

  Status close() {
    if (opened() == '{') PRONK_OK(check_keys());
    json_.nodes_[open_.back()].extent = u32(json_.nodes_.size());
    open_.pop_back();
    ++at_;
    return {};
  }

  Status check_keys() {
    std::vector<u32> keys;
    for (u32 node = open_.back() + 1; node < json_.nodes_.size(); node = json_.next(node + 1)) keys.push_back(node);
    std::ranges::sort(keys, {}, [&](u32 node) { return json_.string(node); });
    const auto twice = std::ranges::adjacent_find(keys, {}, [&](u32 node) { return json_.string(node); });
    if (twice == keys.end()) return {};
    return bad("the key " + quoted(json_.string(*twice)) + " stands twice in the object that ends");
  }

  Status literal(std::string_view word) {
    if (std::string_view(json_.text_).substr(at_, word.size()) != word) return wrong("a value");
    add_node();
    at_ += word.size();
    return {};
  }

  Status digits() {
    if (!is_digit(peek())) return wrong("a digit");
    while (is_digit(peek())) ++at_;
    return {};
  }

  Status number() {
    if (peek() != '-' && !is_digit(peek())) return wrong("a value");
    add_node();
    if (peek() == '-') ++at_;
    if (peek() == '0') {
      ++at_;
    } else {
      PRONK_OK(digits());
    }
    if (peek() == '.') {
      ++at_;
      PRONK_OK(digits());
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      PRONK_OK(digits());
    }
    return {};
  }

  // Decodes in place: what is written is never longer than what has been read.
  Status string() {
    add_node();
    std::string& text = json_.text_;
    char* const start = text.data() + ++at_;
    char* out = start;
    while (peek() != '"') {
      if (u8(peek()) < 0x20) {
        return at_ == text.size() ? wrong("the end of a string") : bad("a control character in a string");
      }
      if (peek() == '\\') {
        PRONK_TRY(const u32 code, escape());
        out = put_utf8(code, out);
        continue;
      }
      const u32 length = utf8_length(std::string_view(text).substr(at_));
      if (length == 0) return bad("bytes that are not UTF-8");
      for (u32 i = 0; i < length; ++i) *out++ = text[at_++];
    }
    json_.nodes_.back().extent = u32(out - start);
    ++at_;
    return {};
  }

  Result<u32> escape() {
    constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    const char letter = json_.text_[++at_];
    if (letter != 'u') {
      const auto found = letters.find(letter);
      if (found == letters.npos) return wrong("an escape");
      ++at_;
      return u32(u8(meanings[found]));
    }
    PRONK_TRY(const u32 high, hex4());
    if (high < 0xd800 || high > 0xdfff) return high;
    if (high > 0xdbff || !std::string_view(json_.text_).substr(at_).starts_with("\\u")) return bad("a lone surrogate");
    ++at_;
    PRONK_TRY(const u32 low, hex4());
    if (low < 0xdc00 || low > 0xdfff) return bad("a lone surrogate");
    return 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
  }

  // The four digits after a 'u'.
  Result<u32> hex4() {
    u32 value = 0;
    for (u32 i = 0; i < 4; ++i) {
      const char c = json_.text_[++at_];
      const char lower = char(c | 0x20);
      if (!is_digit(c) && (lower < 'a' || lower > 'f')) return wrong("a hexadecimal digit");
      value = value << 4 | u32(is_digit(c) ? c - '0' : lower - 'a' + 10);
    }
    ++at_;
    return value;
  }

  Json json_;
  u64 at_ = 0;
  std::vector<u32> open_;  // nodes of the arrays and objects that have not ended
};

Result<Json> Json::parse(std::string text) { return JsonParser(std::move(text)).run(); }

JsonValue Json::root() const { return nodes_.empty() ? JsonValue() : JsonValue(this, 0, no_key); }

u64 Json::memory_bytes() const { return text_.capacity() + nodes_.capacity() * sizeof(Node); }

JsonKind JsonValue::kind() const {
  if (json_ == nullptr) return JsonKind::absent;
  switch (json_->text_[json_->nodes_[node_].start]) {
    case '"':
      return JsonKind::string;
    case 't':
    case 'f':
      return JsonKind::boolean;
    case 'n':
      return JsonKind::null;
    case '[':
      return JsonKind::array;
    case '{':
      return JsonKind::object;
    default:
      return JsonKind::number;
  }
}

JsonValue JsonValue::Iterator::operator*() const { return {json_, node_ + keyed_, keyed_ ? node_ : no_key}; }

JsonValue::Iterator& JsonValue::Iterator::operator++() {
  node_ = json_->next(node_ + keyed_);
  return *this;
}

JsonValue::Iterator JsonValue::begin() const {
  if (kind() < JsonKind::array) return end();
  return {json_, node_ + 1, is(JsonKind::object)};
}

JsonValue::Iterator JsonValue::end() const {
  return {json_, json_ == nullptr ? 0 : json_->next(node_), is(JsonKind::object)};
}

u64 JsonValue::count() const {
  u64 count = 0;
  for (auto it = begin(); it != end(); ++it) ++count;
  return count;
}

std::string_view JsonValue::key() const {
  return json_ == nullptr || key_ == no_key ? std::string_view{} : json_->string(key_);
}

JsonValue JsonValue::operator[](std::string_view key) const {
  if (is(JsonKind::object)) {
    for (const JsonValue member : *this) {
      if (member.key() == key) return member;
    }
  }
  return {};
}

std::string JsonValue::place() const {
  if (!key().empty()) return quoted(key());
  return json_ == nullptr ? "what is not there" : "the value at byte " + std::to_string(json_->nodes_[node_].start);
}

std::unexpected<Error> JsonValue::error(std::string_view text) const {
  return fail(ErrorCode::bad_model, place() + " " + std::string(text));
}

Result<JsonValue> JsonValue::require(JsonKind wanted, std::string_view name) const {
  constexpr std::string_view names[] = {"absent",   "null",     "true or false", "a number",
                                        "a string", "an array", "an object"};
  if (is(wanted)) return *this;
  return error("is " + std::string(names[u32(kind())]) + ", not " + std::string(name));
}

Result<std::string_view> JsonValue::string() const {
  PRONK_OK(require(JsonKind::string, "a string"));
  return json_->string(node_);
}

Result<u64> JsonValue::integer() const {
  PRONK_OK(require(JsonKind::number, "a whole number"));
  const char* at = json_->text_.data() + json_->nodes_[node_].start;
  u64 value = 0;
  for (; is_digit(*at); ++at) {
    const u64 digit = u64(*at - '0');
    if (value > (~u64{0} - digit) / 10) return error("does not fit 64 bits");
    value = 10 * value + digit;
  }
  if (*at == '-') return error("is negative");
  if (*at == '.' || *at == 'e' || *at == 'E') return error("is not a whole number");
  return value;
}

Result<double> JsonValue::number() const {
  PRONK_OK(require(JsonKind::number, "a number"));
  const char* at = json_->text_.data() + json_->nodes_[node_].start;
  const bool negative = *at == '-';
  if (negative) ++at;
  Decimal decimal;
  i32 power = 0, exponent = 0;
  for (; is_digit(*at); ++at) decimal.add_digit(u32(*at - '0'));
  if (*at == '.') {
    for (++at; is_digit(*at); ++at, --power) decimal.add_digit(u32(*at - '0'));
  }
  if (*at == 'e' || *at == 'E') {
    const bool down = *++at == '-';
    if (*at == '+' || *at == '-') ++at;
    for (; is_digit(*at); ++at) exponent = std::min(10 * exponent + (*at - '0'), 1 << 20);
    if (down) exponent = -exponent;
  }
  decimal.scale(power + exponent);
  const double value = decimal.value();
  if (!std::isfinite(value)) return error("is beyond the range of a number");
  return negative ? -value : value;
}

Result<bool> JsonValue::boolean() const {
  PRONK_OK(require(JsonKind::boolean, "true or false"));
  return json_->text_[json_->nodes_[node_].start] == 't';
}

Result<JsonValue> JsonValue::array() const { return require(JsonKind::array, "an array"); }
Result<JsonValue> JsonValue::object() const { return require(JsonKind::object, "an object"); }

template <class T>
Result<T> JsonValue::member(std::string_view key, Result<T> (JsonValue::*read)() const) const {
  const JsonValue found = (*this)[key];
  if (!found.has_value()) return fail(ErrorCode::bad_model, quoted(key) + " is missing");
  return (found.*read)();
}

template <class T>
Result<T> JsonValue::member(std::string_view key, Result<T> (JsonValue::*read)() const, T fallback) const {
  const JsonValue found = (*this)[key];
  return found.has_value() ? (found.*read)() : fallback;
}

Result<std::string_view> JsonValue::string_at(std::string_view key) const { return member(key, &JsonValue::string); }
Result<u64> JsonValue::integer_at(std::string_view key) const { return member(key, &JsonValue::integer); }
Result<double> JsonValue::number_at(std::string_view key) const { return member(key, &JsonValue::number); }
Result<bool> JsonValue::boolean_at(std::string_view key) const { return member(key, &JsonValue::boolean); }
Result<JsonValue> JsonValue::array_at(std::string_view key) const { return member(key, &JsonValue::array); }
Result<JsonValue> JsonValue::object_at(std::string_view key) const { return member(key, &JsonValue::object); }

Result<std::string_view> JsonValue::string_or(std::string_view key, std::string_view fallback) const {
  return member(key, &JsonValue::string, fallback);
}
Result<u64> JsonValue::integer_or(std::string_view key, u64 fallback) const {
  return member(key, &JsonValue::integer, fallback);
}
Result<double> JsonValue::number_or(std::string_view key, double fallback) const {
  return member(key, &JsonValue::number, fallback);
}
Result<bool> JsonValue::boolean_or(std::string_view key, bool fallback) const {
  return member(key, &JsonValue::boolean, fallback);
}

}  // namespace pronk::files
