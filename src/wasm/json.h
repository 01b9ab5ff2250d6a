// Writes small JSON objects: enough for the plan and the statistics.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "base/types.h"

namespace pronk::wasm {

class JsonObject {
 public:
  JsonObject& add(std::string_view key, std::string_view text) {
    begin(key);
    quote(text);
    return *this;
  }
  template <class Number>
    requires(std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool>)
  JsonObject& add(std::string_view key, Number number) {
    begin(key);
    const std::string digits = std::to_string(number);
    text_ +=
        digits.find_first_not_of("0123456789.-") == std::string::npos ? digits : "null";  // inf and nan are no JSON
    return *this;
  }
  JsonObject& add(std::string_view key, bool flag) {
    begin(key);
    text_ += flag ? "true" : "false";
    return *this;
  }
  JsonObject& add(std::string_view key, const JsonObject& object) {
    begin(key);
    text_ += object.str();
    return *this;
  }
  std::string str() const { return "{" + text_ + "}"; }

 private:
  void begin(std::string_view key) {
    if (!text_.empty()) text_ += ',';
    quote(key);
    text_ += ':';
  }
  void quote(std::string_view text) {
    text_ += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') text_ += '\\';
      if (u8(c) < 0x20) {
        text_ += "\\u00";
        text_ += "0123456789abcdef"[u8(c) >> 4];
        text_ += "0123456789abcdef"[u8(c) & 15];
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }

  std::string text_;
};

}  // namespace pronk::wasm
