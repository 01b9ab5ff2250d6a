// What a kernel's text asks of a workgroup, read from the text itself: its constants, @workgroup_size, var<workgroup>.
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"

namespace pronk::test {

// Whole-number expressions over named constants: + - * / % and parentheses, select(), min(), max(), true as 1. Nullopt
// for anything else.
class WgslExpression {
 public:
  WgslExpression(std::string_view text, const std::map<std::string, u64>& constants)
      : text_(text), constants_(constants) {}
  std::optional<u64> value() {
    const auto result = sum();
    skip();
    return at_ == text_.size() ? result : std::nullopt;
  }

 private:
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    skip();
    const bool there = at_ < text_.size() && text_[at_] == c;
    at_ += there;
    return there;
  }
  std::optional<u64> sum() {
    auto left = product();
    for (;;) {
      const bool plus = take('+');
      if (!plus && !take('-')) return left;
      const auto right = product();
      if (!left || !right) return std::nullopt;
      left = plus ? *left + *right : *left - *right;
    }
  }
  std::optional<u64> product() {
    auto left = atom();
    for (;;) {
      const char op = take('*') ? '*' : take('/') ? '/' : take('%') ? '%' : 0;
      if (op == 0) return left;
      const auto right = atom();
      if (!left || !right || (op != '*' && *right == 0)) return std::nullopt;
      left = op == '*' ? *left * *right : op == '/' ? *left / *right : *left % *right;
    }
  }
  std::optional<u64> atom() {
    if (take('(')) {
      const auto inner = sum();
      return take(')') ? inner : std::nullopt;
    }
    skip();
    std::string word;
    while (at_ < text_.size() && (std::isalnum(u8(text_[at_])) || text_[at_] == '_')) word += text_[at_++];
    if (word.empty()) return std::nullopt;
    if (std::isdigit(u8(word[0]))) return std::stoull(word);
    if (word == "true" || word == "false") return word == "true";
    if (word == "select" && take('(')) {
      const auto otherwise = sum();
      const auto then = take(',') ? sum() : std::nullopt;
      const auto condition = take(',') ? sum() : std::nullopt;
      if (!take(')') || !otherwise || !then || !condition) return std::nullopt;
      return *condition ? then : otherwise;
    }
    if ((word == "min" || word == "max") && take('(')) {
      const auto a = sum();
      const auto b = take(',') ? sum() : std::nullopt;
      if (!take(')') || !a || !b) return std::nullopt;
      return word == "min" ? std::min(*a, *b) : std::max(*a, *b);
    }
    const auto constant = constants_.find(word);
    return constant == constants_.end() ? std::nullopt : std::optional(constant->second);
  }

  std::string_view text_;
  const std::map<std::string, u64>& constants_;
  std::size_t at_ = 0;
};

struct WorkgroupUse {
  u64 threads = 0;  // in x; the kernels use no other dimension
  u64 bytes = 0;    // of var<workgroup>
};

// Nullopt when the text has something that this does not understand.
inline std::optional<WorkgroupUse> workgroup_use(std::string_view wgsl) {
  std::map<std::string, u64> constants, structs;  // structs: bytes, of those whose vectors of four come first
  WorkgroupUse use;
  const auto type_bytes = [&](std::string_view type) -> u64 {
    const auto known = structs.find(std::string(type));
    return known != structs.end()                                    ? known->second
           : type == "vec4<f16>"                                     ? 8
           : type == "mat4x4<f32>"                                   ? 64
           : type.starts_with("vec4<") || type == "vec3<f32>"        ? 16
           : type.starts_with("vec2<")                               ? 8
           : type == "f16"                                           ? 2
           : type == "f32" || type == "u32" || type == "atomic<u32>" ? 4
                                                                     : 0;
  };
  // Of an array, of arrays too, or of one thing; nullopt when it is not understood.
  const auto bytes_of = [&](std::string_view type) -> std::optional<u64> {
    u64 count = 1;
    while (type.starts_with("array<")) {
      const std::size_t comma = type.rfind(", ");
      if (comma == type.npos) return std::nullopt;
      const auto length = WgslExpression(type.substr(comma + 2, type.size() - comma - 3), constants).value();
      if (!length) return std::nullopt;
      count *= *length;
      type = type.substr(6, comma - 6);
    }
    return type_bytes(type) > 0 ? std::optional(count * type_bytes(type)) : std::nullopt;
  };
  std::string open_struct;
  while (!wgsl.empty()) {
    const std::string_view line = wgsl.substr(0, wgsl.find('\n'));
    wgsl.remove_prefix(std::min(line.size() + 1, wgsl.size()));
    const std::size_t equals = line.find('='), end = line.rfind(';');
    if (line.starts_with("const ") && equals != line.npos && end != line.npos) {
      const std::string name(line.substr(6, line.find_first_of(" :=", 6) - 6));
      if (const auto value = WgslExpression(line.substr(equals + 1, end - equals - 1), constants).value())
        constants[name] = *value;
    }
    if (line.starts_with("struct ")) {
      open_struct = line.substr(7, line.find(' ', 7) - 7);
    } else if (line.starts_with("}")) {
      open_struct.clear();
    } else if (const std::size_t colon = line.find(": "); !open_struct.empty() && colon != line.npos) {
      if (const auto bytes = bytes_of(line.substr(colon + 2, line.rfind(',') - colon - 2)))
        structs[open_struct] += *bytes;
    }
    if (line.starts_with("var<workgroup>")) {
      const std::size_t colon = line.find(": ");
      if (colon == line.npos || end == line.npos) return std::nullopt;
      const auto bytes = bytes_of(line.substr(colon + 2, end - colon - 2));
      if (!bytes) return std::nullopt;
      use.bytes += (*bytes + 15) / 16 * 16;
    }
    if (const std::size_t at = line.find("@workgroup_size("); at != line.npos) {
      const auto threads = WgslExpression(line.substr(at + 16, line.rfind(')') - at - 16), constants).value();
      if (!threads) return std::nullopt;
      use.threads = *threads;
    }
  }
  return use.threads > 0 ? std::optional(use) : std::nullopt;
}

}  // namespace pronk::test
