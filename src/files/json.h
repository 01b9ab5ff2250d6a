// JSON (RFC 8259), read whole: text in, a read-only tree out. For files of strangers: depth, size, UTF-8, numbers and
// duplicate keys are checked once, when the document is parsed, and nothing is allocated that the text does not back.
// Strings are decoded where they stand in the document's own copy of the text; a value costs eight bytes more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace pronk::files {

constexpr u64 max_json_bytes = u64{1} << 30;
constexpr u32 max_json_depth = 100;  // arrays and objects within each other

enum class JsonKind : u8 { absent, null, boolean, number, string, array, object };

class Json;

// A view of one value; valid while its Json lives and is not moved. Absent: what was looked up and is not there.
class JsonValue {
 public:
  JsonValue() = default;
  JsonKind kind() const;
  bool present() const { return json_ != nullptr; }
  bool has_value() const { return kind() > JsonKind::null; }  // neither absent nor null
  bool is(JsonKind kind) const { return this->kind() == kind; }

  // The members of an object or the elements of an array, in the order of the text; none for other kinds. What is
  // iterated over is a value; key() is its name in the object.
  class Iterator;
  Iterator begin() const;
  Iterator end() const;
  u64 count() const;             // by a walk over them
  std::string_view key() const;  // of a member reached by iteration or operator[]; else empty

  // The member of an object, by a walk over its members; absent when there is none, or this is no object.
  JsonValue operator[](std::string_view key) const;

  // The value as a type. An error when it is another or does not fit; it names the key, or else the byte where the
  // value stands, and what was found.
  Result<std::string_view> string() const;  // decoded UTF-8; may hold NUL
  Result<u64> integer() const;              // digits only: no sign, fraction or exponent
  Result<double> number() const;            // rounded to the nearest; beyond the range of a double is an error
  Result<bool> boolean() const;
  Result<JsonValue> array() const;  // itself
  Result<JsonValue> object() const;

  // The member of an object as a type; null counts as absent, which is an error that names the key.
  Result<std::string_view> string_at(std::string_view key) const;
  Result<u64> integer_at(std::string_view key) const;
  Result<double> number_at(std::string_view key) const;
  Result<bool> boolean_at(std::string_view key) const;
  Result<JsonValue> array_at(std::string_view key) const;
  Result<JsonValue> object_at(std::string_view key) const;

  // The same with the fallback for a member that is absent or null; another type is still an error.
  Result<std::string_view> string_or(std::string_view key, std::string_view fallback) const;
  Result<u64> integer_or(std::string_view key, u64 fallback) const;
  Result<double> number_or(std::string_view key, double fallback) const;
  Result<bool> boolean_or(std::string_view key, bool fallback) const;

  // An error about this value: its key or position, then the text.
  std::unexpected<Error> error(std::string_view text) const;

 private:
  friend class Json;
  JsonValue(const Json* json, u32 node, u32 key) : json_(json), node_(node), key_(key) {}
  std::string place() const;
  Result<JsonValue> require(JsonKind kind, std::string_view wanted) const;
  template <class T>
  Result<T> member(std::string_view key, Result<T> (JsonValue::*read)() const) const;
  template <class T>
  Result<T> member(std::string_view key, Result<T> (JsonValue::*read)() const, T fallback) const;

  const Json* json_ = nullptr;
  u32 node_ = 0;
  u32 key_ = 0;  // node of the member's key; no_key when there is none
};

class Json {
 public:
  // The errors name the byte (from 0) where the text is wrong.
  static Result<Json> parse(std::string text);

  Json() = default;  // of no value: the root is absent
  Json(Json&&) = default;
  Json& operator=(Json&&) = default;
  Json(const Json&) = delete;
  Json& operator=(const Json&) = delete;

  JsonValue root() const;
  u64 memory_bytes() const;  // heap bytes held

 private:
  friend class JsonValue;
  friend class JsonParser;

  // The values in the order of the text, a member's key before it. The first character at `start` tells the kind.
  struct Node {
    u32 start = 0;   // in text_
    u32 extent = 0;  // of a string: its decoded bytes, from start + 1; of an array or object: the node after it
  };
  std::string_view string(u32 node) const {
    return std::string_view(text_).substr(nodes_[node].start + 1, nodes_[node].extent);
  }
  bool nests(u32 node) const { return text_[nodes_[node].start] == '[' || text_[nodes_[node].start] == '{'; }
  u32 next(u32 node) const { return nests(node) ? nodes_[node].extent : node + 1; }

  std::string text_;
  std::vector<Node> nodes_;
};

class JsonValue::Iterator {
 public:
  JsonValue operator*() const;
  Iterator& operator++();
  bool operator==(const Iterator& other) const { return node_ == other.node_; }

 private:
  friend class JsonValue;
  Iterator(const Json* json, u32 node, bool keyed) : json_(json), node_(node), keyed_(keyed) {}
  const Json* json_;
  u32 node_;
  bool keyed_;  // an object: a key stands before each value
};

}  // namespace pronk::files
