#include "kernels/fold_control_flow.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <vector>

#include "base/types.h"

namespace pronk::kernels {
namespace {

using Value = std::optional<i64>;  // of a flag 0 or 1; nullopt: not known
using Constants = std::map<std::string, i64, std::less<>>;

bool in_word(char c) { return std::isalnum(u8(c)) != 0 || c == '_'; }

// Reads an expression of WGSL: operators of u32 and bool, and the functions that constants are made with.
class Expression {
 public:
  Expression(std::string_view text, const Constants& constants) : text_(text), constants_(constants) {}

  Value value() {
    const Value value = binary(0);
    skip();
    return failed_ || at_ < text_.size() ? std::nullopt : value;
  }

 private:
  struct Operator {
    std::string_view sign;
    u32 level;
    i64 (*apply)(i64, i64);  // null: the result is not known
  };
  // Longer signs before those that they begin with.
  static constexpr Operator operators[] = {
      {"||", 1, [](i64 a, i64 b) { return i64(a || b); }},
      {"&&", 2, [](i64 a, i64 b) { return i64(a && b); }},
      {"==", 6, [](i64 a, i64 b) { return i64(a == b); }},
      {"!=", 6, [](i64 a, i64 b) { return i64(a != b); }},
      {"<<", 8, nullptr},
      {">>", 8, nullptr},
      {"<=", 7, [](i64 a, i64 b) { return i64(a <= b); }},
      {">=", 7, [](i64 a, i64 b) { return i64(a >= b); }},
      {"<", 7, [](i64 a, i64 b) { return i64(a < b); }},
      {">", 7, [](i64 a, i64 b) { return i64(a > b); }},
      {"|", 3, nullptr},
      {"^", 4, nullptr},
      {"&", 5, nullptr},
      {"+", 9, [](i64 a, i64 b) { return a + b; }},
      {"-", 9, [](i64 a, i64 b) { return a - b; }},
      {"*", 10, [](i64 a, i64 b) { return a * b; }},
      {"/", 10, [](i64 a, i64 b) { return b == 0 ? -1 : a / b; }},
      {"%", 10, [](i64 a, i64 b) { return b == 0 ? -1 : a % b; }},
  };

  void skip() {
    while (at_ < text_.size() && std::isspace(u8(text_[at_]))) ++at_;
  }
  bool take(std::string_view sign) {
    skip();
    if (!text_.substr(at_).starts_with(sign)) return false;
    at_ += sign.size();
    return true;
  }
  std::string_view word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && in_word(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  Value binary(u32 level) {
    Value left = unary();
    for (;;) {
      skip();
      const auto found = std::find_if(std::begin(operators), std::end(operators),
                                      [&](const Operator& o) { return text_.substr(at_).starts_with(o.sign); });
      if (found == std::end(operators) || found->level <= level) return left;
      at_ += found->sign.size();
      left = applied(*found, left, binary(found->level));
    }
  }

  static Value applied(const Operator& o, Value left, Value right) {
    if (o.sign == "&&" && (left == 0 || right == 0)) return 0;
    if (o.sign == "||" && (left == 1 || right == 1)) return 1;
    if (!o.apply || !left || !right) return std::nullopt;
    const i64 value = o.apply(*left, *right);
    if (value < 0) return std::nullopt;  // which no u32 is
    return value;
  }

  Value unary() {
    if (take("!")) {
      const Value value = unary();
      if (!value) return value;
      return i64(*value == 0);
    }
    for (const std::string_view sign : {"-", "~", "*", "&"}) {
      if (!take(sign)) continue;
      unary();
      return std::nullopt;
    }
    return postfix();
  }

  Value postfix() {
    Value value;
    if (take("(")) {
      value = binary(0);
      failed_ |= !take(")");
    } else {
      value = primary();
    }
    for (bool more = true; more;) {
      more = false;
      if (take("[")) {
        binary(0);
        failed_ |= !take("]");
        more = true;
      } else if (take(".")) {
        word();
        more = true;
      }
      if (more) value = std::nullopt;
    }
    return value;
  }

  Value primary() {
    skip();
    const std::string_view name = word();
    if (name.empty()) {
      failed_ = true;
      return std::nullopt;
    }
    if (std::isdigit(u8(name[0]))) return number(name);
    if (name == "true" || name == "false") return i64(name == "true");
    if (at_ < text_.size() && text_[at_] == '(') return call(name);
    failed_ |= at_ < text_.size() && text_[at_] == '<' &&
               (name.starts_with("vec") || name.starts_with("mat") || name == "array");
    const auto found = constants_.find(name);
    return found == constants_.end() ? std::nullopt : Value(found->second);
  }

  static Value number(std::string_view digits) {
    if (digits.ends_with('u')) digits.remove_suffix(1);
    i64 value = 0;
    for (const char c : digits) {
      if (!std::isdigit(u8(c)) || value > 0xffffffff) return std::nullopt;
      value = 10 * value + (c - '0');
    }
    return value;
  }

  Value call(std::string_view name) {
    std::vector<Value> values;
    take("(");
    while (!failed_ && !take(")")) {
      values.push_back(binary(0));
      if (!take(",")) {
        failed_ |= !take(")");
        break;
      }
    }
    if (std::any_of(values.begin(), values.end(), [](const Value& v) { return !v; })) return std::nullopt;
    if (name == "min" && values.size() == 2) return std::min(*values[0], *values[1]);
    if (name == "max" && values.size() == 2) return std::max(*values[0], *values[1]);
    if (name == "select" && values.size() == 3) return *values[2] ? values[1] : values[0];
    if (name == "clamp" && values.size() == 3) return std::min(std::max(*values[0], *values[1]), *values[2]);
    return std::nullopt;
  }

  std::string_view text_;
  const Constants& constants_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

// Blocks that a text opens less those that it closes.
i32 opened(std::string_view text) {
  i32 blocks = 0;
  for (const char c : text) blocks += (c == '{') - (c == '}');
  return blocks;
}

Constants constants_of(std::string_view text) {
  Constants constants;
  constexpr std::string_view keyword = "\nconst ";
  i32 depth = 0;
  for (std::size_t last = 0, at = 0; (at = text.find(keyword, at)) != text.npos;) {
    depth += opened(text.substr(last, at - last));
    last = at;
    at += keyword.size();
    if (depth > 0) continue;
    const std::size_t end = text.find(';', at), equals = text.find('=', at);
    if (end == text.npos || equals > end) break;
    const std::string_view name = text.substr(at, text.find_first_of(" :=", at) - at);
    if (const Value value = Expression(text.substr(equals + 1, end - equals - 1), constants).value())
      constants.insert_or_assign(std::string(name), *value);
    at = end;
  }
  return constants;
}

// Behind the bracket that closes the one at `open`.
std::size_t behind_bracket(std::string_view text, std::size_t open) {
  const char opening = text[open], closing = opening == '(' ? ')' : '}';
  u32 depth = 0;
  for (std::size_t at = open; at < text.size(); ++at) {
    if (text[at] == opening) ++depth;
    if (text[at] == closing && --depth == 0) return at + 1;
  }
  return text.size();
}

// Whether nothing that follows a block in the block around it can run.
bool leaves(std::string_view block) {
  const std::size_t end = block.find_last_of(';');
  if (end == block.npos || block.find_first_not_of(" \n}", end + 1) != block.npos) return false;
  const std::string_view last = block.substr(0, end);
  const std::size_t begin = last.find_first_not_of(" \n", last.find_last_of(";{}") + 1);
  if (begin == last.npos || std::count(block.begin() + i64(end), block.end(), '}') != 1) return false;
  const std::string_view statement = last.substr(begin);
  return statement.starts_with("return ") || statement == "return" || statement == "continue" || statement == "break";
}

class Folder {
 public:
  Folder(std::string_view text, const Constants& constants) : text_(text), constants_(constants) {}

  std::string run() {
    while (at_ < text_.size()) {
      take_to(next_keyword());
      if (at_ == text_.size()) break;
      if (text_[at_] == 'i')
        branch();
      else
        loop();
    }
    return std::move(out_);
  }

 private:
  void take_to(std::size_t end) {
    out_ += text_.substr(at_, end - at_);
    at_ = end;
  }

  // Of the next `if (` or `for (`.
  std::size_t next_keyword() const {
    for (std::size_t open = at_; (open = text_.find('(', open)) != text_.npos; ++open) {
      const std::string_view before = text_.substr(at_, open - at_);
      for (const std::string_view keyword : {"if ", "for "}) {
        if (!before.ends_with(keyword)) continue;
        const std::size_t begin = open - keyword.size();
        if (begin == 0 || !in_word(text_[begin - 1])) return begin;
      }
    }
    return text_.size();
  }

  // As many rounds as `for (var i = 0u; i < COUNT; i++)` has; 0: more than are written out, or it is another kind of
  // loop.
  i64 few_rounds(std::string_view head, std::string_view name) const {
    const std::string begin = "var " + std::string(name) + " = 0u; " + std::string(name) + " < ";
    const std::string end = "; " + std::string(name) + "++";
    if (!head.starts_with(begin) || !head.ends_with(end) || head.size() < begin.size() + end.size()) return 0;
    const Value count =
        Expression(head.substr(begin.size(), head.size() - begin.size() - end.size()), constants_).value();
    return count && *count <= 2 ? *count : 0;
  }

  void loop() {
    const std::size_t open = at_ + 4, body = behind_bracket(text_, open) + 1;
    const std::string_view head = text_.substr(open + 1, body - open - 3);
    const std::string_view name = head.starts_with("var ") ? head.substr(4, head.find(' ', 4) - 4) : "";
    const i64 rounds = few_rounds(head, name);
    if (rounds == 0) return take_to(body);
    const std::size_t end = behind_bracket(text_, body);
    const std::string_view block = text_.substr(body, end - body);
    const auto has = [&](const std::string& words) { return block.find(words) != block.npos; };
    const std::string again = " " + std::string(name) + " =";  // another of that name
    std::string written_out;
    for (i64 round = 0; round < rounds; ++round) {
      Constants constants = constants_;
      constants.insert_or_assign(std::string(name), round);
      written_out += "{\nconst " + std::string(name) + " = " + std::to_string(round) + "u;";
      written_out += Folder(block.substr(1), constants).run();
    }
    const bool longer = rounds == 2 && written_out.find("for (") != written_out.npos;  // than it gains
    if (longer || has("break") || has("continue") || has("let" + again) || has("var" + again)) return take_to(body);
    out_ += written_out;
    at_ = end;
  }

  void branch() {
    const std::size_t open = at_ + 3, body = behind_bracket(text_, open) + 1;
    const bool behind_else = out_.ends_with("else ");
    const Value value = Expression(text_.substr(open + 1, body - open - 3), constants_).value();
    if (!value) return take_to(body);
    const std::size_t end = at_ = behind_bracket(text_, body);
    const bool other = take_else();
    if (*value == 0) {
      if (!other) out_ += "{}";
      return;
    }
    if (other) skip_branches();
    Folder inner(text_.substr(body, end - body), constants_);
    const std::string kept = inner.run();
    out_ += kept;
    if (behind_else || !(inner.left_ || leaves(kept))) return;
    skip_rest();
    left_ |= at_ + 1 == text_.size();
  }

  bool take_else() {
    const std::size_t next = text_.find_first_not_of(" \n", at_);
    if (next == text_.npos || !text_.substr(next).starts_with("else ")) return false;
    at_ = next + 5;
    return true;
  }
  void skip_branches() {
    do at_ = behind_bracket(text_, text_.find('{', at_));
    while (take_else());
  }
  // Of the block around.
  void skip_rest() {
    for (u32 depth = 0; at_ < text_.size(); ++at_) {
      if (text_[at_] == '{') ++depth;
      if (text_[at_] == '}' && depth-- == 0) return;
    }
  }
  std::string_view text_;
  const Constants& constants_;
  std::size_t at_ = 0;
  std::string out_;
  bool left_ = false;  // what follows a text that is a block cannot run
};

}  // namespace

gpu::PipelineDesc folded(gpu::PipelineDesc pipeline) {
  pipeline.wgsl = fold_control_flow(pipeline.wgsl);
  return pipeline;
}

std::string fold_control_flow(std::string_view text) { return Folder(text, constants_of(text)).run(); }

}  // namespace pronk::kernels
