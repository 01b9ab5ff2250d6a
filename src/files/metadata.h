// The metadata of a GGUF file: typed values under dotted keys, kept as the file's own bytes (or a view) plus an index.
// A string array costs its bytes and four more a string. Format: ggml's docs/gguf.md.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace pronk::files {

class HeaderReader;

// Ids as in the file.
enum class ValueType : u32 {
  uint8 = 0,
  int8 = 1,
  uint16 = 2,
  int16 = 3,
  uint32 = 4,
  int32 = 5,
  float32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  uint64 = 10,
  int64 = 11,
  float64 = 12,
};
std::string_view value_type_name(ValueType type);  // "u32", "f32", "string", …
u32 value_type_bytes(ValueType type);              // of a scalar; 0 for string and array
bool is_integer_type(ValueType type);              // bool is not an integer

// A view into its Metadata; valid while that lives. Indices below count() are the caller's duty (CHECK).
class Array {
 public:
  ValueType type() const { return type_; }  // of the elements
  u64 count() const { return count_; }

  std::string_view string(u64 i) const;  // type() is string
  i64 integer(u64 i) const;              // an integer type or bool; u64 above the largest i64 comes as that
  double number(u64 i) const;            // any scalar type but string
  const Array& array(u64 i) const;       // type() is array

 private:
  friend class MetadataParser;
  friend class Metadata;
  ValueType type_ = ValueType::uint8;
  u64 count_ = 0;
  u64 start_ = 0;              // of the first element, from the start of the file
  const u8* bytes_ = nullptr;  // start of the file's header
  std::vector<u32> strings_;   // where each string's length lies; only when type() is string
  std::vector<Array> arrays_;  // only when type() is array
};

class Metadata {
 public:
  Metadata() = default;
  Metadata(Metadata&&) = default;
  Metadata& operator=(Metadata&&) = default;
  Metadata(const Metadata&) = delete;
  Metadata& operator=(const Metadata&) = delete;

  // Entries in file order.
  u64 size() const { return entries_.size(); }
  std::string_view key(u64 i) const;
  ValueType type(u64 i) const;
  std::span<const u8> raw(u64 i) const;  // key, type and value as they lie in the file

  bool has(std::string_view key) const { return find(key) != nullptr; }

  // The value under a key. An absent key, a wrong type or a value that does not fit is an error naming the key and
  // what was found. Integers convert between widths and signs when the value fits; f64_at takes integers too.
  Result<u64> u64_at(std::string_view key) const;
  Result<i64> i64_at(std::string_view key) const;
  Result<u32> u32_at(std::string_view key) const;
  Result<double> f64_at(std::string_view key) const;
  Result<bool> bool_at(std::string_view key) const;
  Result<std::string_view> string_at(std::string_view key) const;  // valid while the Metadata lives
  Result<const Array*> array_at(std::string_view key) const;       // elements of any type
  Result<const Array*> strings_at(std::string_view key) const;
  Result<const Array*> integers_at(std::string_view key) const;  // elements of an integer type or bool
  Result<const Array*> numbers_at(std::string_view key) const;   // elements of any integer or float type

  // The same, with the fallback for an absent key; a key of the wrong type is still an error.
  Result<u64> u64_or(std::string_view key, u64 fallback) const;
  Result<i64> i64_or(std::string_view key, i64 fallback) const;
  Result<u32> u32_or(std::string_view key, u32 fallback) const;
  Result<double> f64_or(std::string_view key, double fallback) const;
  Result<bool> bool_or(std::string_view key, bool fallback) const;
  Result<std::string_view> string_or(std::string_view key, std::string_view fallback) const;
  // Null for an absent key.
  Result<const Array*> strings_or_null(std::string_view key) const;
  Result<const Array*> integers_or_null(std::string_view key) const;
  Result<const Array*> numbers_or_null(std::string_view key) const;

 private:
  friend class MetadataParser;
  struct Entry {
    u32 key = 0;    // where the key's length lies
    u32 value = 0;  // where the value lies (a string's length, a scalar's bytes)
    u32 array = 0;  // index into arrays_
    ValueType type = ValueType::uint8;
  };
  const Entry* find(std::string_view key) const;
  Result<const Entry*> require(std::string_view key) const;
  std::string_view string_at_offset(u64 offset) const;
  Result<const Array*> checked_array(std::string_view key, bool (*accepts)(ValueType), std::string_view wanted) const;

  std::span<const u8> bytes_;   // the file from its start to the end of the metadata
  std::vector<u8> own_;         // the same, unless they are somebody else's
  std::vector<Entry> entries_;  // in file order
  std::vector<u32> by_key_;     // indices into entries_, sorted by key
  std::vector<Array> arrays_;
};

// Whether what is read keeps its own bytes, or only points into those it was read from, which must then outlive it.
enum class Keep : u8 { copy, view };

// Reads `count` entries from where the reader stands. What the reader cannot give is its error; so are a duplicate key,
// an unknown type, arrays nested deeper than eight levels and a bool that is neither 0 nor 1.
Result<Metadata> read_metadata(HeaderReader& reader, u64 count, Keep keep = Keep::copy);

}  // namespace pronk::files
