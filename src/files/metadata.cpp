#include "files/metadata.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "base/check.h"
#include "base/quote.h"
#include "files/gguf.h"
#include "files/header_reader.h"

namespace pronk::files {

namespace {

constexpr u32 max_array_depth = 8;
constexpr u64 max_nested_arrays = 65536;  // in one file: each costs more memory than its twelve bytes in the file
constexpr u64 min_entry_bytes = 8 + 4 + 1;
constexpr u64 min_array_bytes = 4 + 8;

std::string_view string_at(const u8* start, u64 offset) {
  const u8* at = start + offset;
  return {reinterpret_cast<const char*>(at + 8), static_cast<std::size_t>(load_le<u64>(at))};
}

// Calls `use` with the scalar in its own type; bool comes as u8.
template <class F>
auto with_scalar(ValueType type, const u8* at, F use) {
  switch (type) {
    case ValueType::uint8:
    case ValueType::boolean:
      return use(load_le<u8>(at));
    case ValueType::int8:
      return use(load_le<i8>(at));
    case ValueType::uint16:
      return use(load_le<u16>(at));
    case ValueType::int16:
      return use(load_le<i16>(at));
    case ValueType::uint32:
      return use(load_le<u32>(at));
    case ValueType::int32:
      return use(load_le<i32>(at));
    case ValueType::float32:
      return use(load_le<float>(at));
    case ValueType::uint64:
      return use(load_le<u64>(at));
    case ValueType::int64:
      return use(load_le<i64>(at));
    case ValueType::float64:
      return use(load_le<double>(at));
    case ValueType::string:
    case ValueType::array:
      break;
  }
  CHECK(false && "not a scalar");
}

bool is_string(ValueType type) { return type == ValueType::string; }
bool is_integer_or_bool(ValueType type) { return is_integer_type(type) || type == ValueType::boolean; }
bool is_number(ValueType type) {
  return is_integer_type(type) || type == ValueType::float32 || type == ValueType::float64;
}
bool is_any(ValueType) { return true; }

std::string found(std::string_view key, std::string_view what, std::string_view wanted) {
  return "metadata key " + quoted(key) + " is " + std::string(what) + ", not " + std::string(wanted);
}

template <class T>
Result<T> or_fallback(const Metadata& metadata, std::string_view key, T fallback,
                      Result<T> (Metadata::*get)(std::string_view) const) {
  return metadata.has(key) ? (metadata.*get)(key) : Result<T>(fallback);
}

}  // namespace

std::string_view value_type_name(ValueType type) {
  constexpr std::string_view names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
  CHECK(u32(type) < std::size(names));
  return names[u32(type)];
}

u32 value_type_bytes(ValueType type) {
  constexpr u32 bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  CHECK(u32(type) < std::size(bytes));
  return bytes[u32(type)];
}

bool is_integer_type(ValueType type) {
  return type <= ValueType::int32 || type == ValueType::uint64 || type == ValueType::int64;
}

std::string_view Array::string(u64 i) const {
  CHECK(type_ == ValueType::string && i < count_);
  return string_at(bytes_, strings_[i]);
}

i64 Array::integer(u64 i) const {
  CHECK(is_integer_or_bool(type_) && i < count_);
  return with_scalar(type_, bytes_ + start_ + i * value_type_bytes(type_), [](auto value) {
    if constexpr (std::is_same_v<decltype(value), u64>) {
      return i64(std::min(value, u64(std::numeric_limits<i64>::max())));
    } else if constexpr (std::is_floating_point_v<decltype(value)>) {
      return i64{0};  // is_integer_or_bool keeps these out
    } else {
      return i64(value);
    }
  });
}

double Array::number(u64 i) const {
  CHECK(value_type_bytes(type_) != 0 && i < count_);
  return with_scalar(type_, bytes_ + start_ + i * value_type_bytes(type_), [](auto value) { return double(value); });
}

const Array& Array::array(u64 i) const {
  CHECK(type_ == ValueType::array && i < count_);
  return arrays_[i];
}

std::string_view Metadata::string_at_offset(u64 offset) const { return files::string_at(bytes_.data(), offset); }

std::string_view Metadata::key(u64 i) const {
  CHECK(i < entries_.size());
  return string_at_offset(entries_[i].key);
}

ValueType Metadata::type(u64 i) const {
  CHECK(i < entries_.size());
  return entries_[i].type;
}

std::span<const u8> Metadata::raw(u64 i) const {
  CHECK(i < entries_.size());
  const u64 end = i + 1 < entries_.size() ? entries_[i + 1].key : bytes_.size();
  return bytes_.subspan(entries_[i].key, end - entries_[i].key);
}

const Metadata::Entry* Metadata::find(std::string_view key) const {
  auto at = std::lower_bound(by_key_.begin(), by_key_.end(), key, [this](u32 index, std::string_view wanted) {
    return string_at_offset(entries_[index].key) < wanted;
  });
  if (at == by_key_.end() || string_at_offset(entries_[*at].key) != key) return nullptr;
  return &entries_[*at];
}

Result<const Metadata::Entry*> Metadata::require(std::string_view key) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return fail("metadata key " + quoted(key) + " is missing");
  return entry;
}

Result<u64> Metadata::u64_at(std::string_view key) const {
  PRONK_TRY(const Entry* entry, require(key));
  if (!is_integer_type(entry->type)) return fail(found(key, value_type_name(entry->type), "an integer"));
  return with_scalar(entry->type, bytes_.data() + entry->value, [&](auto value) -> Result<u64> {
    if constexpr (std::is_integral_v<decltype(value)>) {
      if (value < 0) return fail(found(key, std::to_string(value), "a number from 0 up"));
    }
    return u64(value);
  });
}

Result<i64> Metadata::i64_at(std::string_view key) const {
  PRONK_TRY(const Entry* entry, require(key));
  if (!is_integer_type(entry->type)) return fail(found(key, value_type_name(entry->type), "an integer"));
  return with_scalar(entry->type, bytes_.data() + entry->value, [&](auto value) -> Result<i64> {
    if constexpr (std::is_same_v<decltype(value), u64>) {
      if (value > u64(std::numeric_limits<i64>::max())) {
        return fail(found(key, std::to_string(value), "within a signed 64-bit number"));
      }
    }
    return i64(value);
  });
}

Result<u32> Metadata::u32_at(std::string_view key) const {
  PRONK_TRY(const u64 value, u64_at(key));
  if (value > std::numeric_limits<u32>::max()) return fail(found(key, std::to_string(value), "below 2^32"));
  return u32(value);
}

Result<double> Metadata::f64_at(std::string_view key) const {
  PRONK_TRY(const Entry* entry, require(key));
  if (!is_number(entry->type)) return fail(found(key, value_type_name(entry->type), "a number"));
  return with_scalar(entry->type, bytes_.data() + entry->value, [](auto value) { return double(value); });
}

Result<bool> Metadata::bool_at(std::string_view key) const {
  PRONK_TRY(const Entry* entry, require(key));
  if (entry->type != ValueType::boolean) return fail(found(key, value_type_name(entry->type), "bool"));
  return bytes_[entry->value] != 0;
}

Result<std::string_view> Metadata::string_at(std::string_view key) const {
  PRONK_TRY(const Entry* entry, require(key));
  if (!is_string(entry->type)) return fail(found(key, value_type_name(entry->type), "a string"));
  return string_at_offset(entry->value);
}

Result<const Array*> Metadata::checked_array(std::string_view key, bool (*accepts)(ValueType),
                                             std::string_view wanted) const {
  PRONK_TRY(const Entry* entry, require(key));
  if (entry->type != ValueType::array) return fail(found(key, value_type_name(entry->type), wanted));
  const Array& array = arrays_[entry->array];
  if (!accepts(array.type())) {
    return fail(found(key, "an array of " + std::string(value_type_name(array.type())), wanted));
  }
  return &array;
}

Result<const Array*> Metadata::array_at(std::string_view key) const { return checked_array(key, is_any, "an array"); }

Result<const Array*> Metadata::strings_at(std::string_view key) const {
  return checked_array(key, is_string, "an array of strings");
}

Result<const Array*> Metadata::integers_at(std::string_view key) const {
  return checked_array(key, is_integer_or_bool, "an array of integers");
}

Result<const Array*> Metadata::numbers_at(std::string_view key) const {
  return checked_array(key, is_number, "an array of numbers");
}

Result<u64> Metadata::u64_or(std::string_view key, u64 fallback) const {
  return or_fallback(*this, key, fallback, &Metadata::u64_at);
}
Result<i64> Metadata::i64_or(std::string_view key, i64 fallback) const {
  return or_fallback(*this, key, fallback, &Metadata::i64_at);
}
Result<u32> Metadata::u32_or(std::string_view key, u32 fallback) const {
  return or_fallback(*this, key, fallback, &Metadata::u32_at);
}
Result<double> Metadata::f64_or(std::string_view key, double fallback) const {
  return or_fallback(*this, key, fallback, &Metadata::f64_at);
}
Result<bool> Metadata::bool_or(std::string_view key, bool fallback) const {
  return or_fallback(*this, key, fallback, &Metadata::bool_at);
}
Result<std::string_view> Metadata::string_or(std::string_view key, std::string_view fallback) const {
  return or_fallback(*this, key, fallback, &Metadata::string_at);
}
Result<const Array*> Metadata::strings_or_null(std::string_view key) const {
  return or_fallback<const Array*>(*this, key, nullptr, &Metadata::strings_at);
}
Result<const Array*> Metadata::integers_or_null(std::string_view key) const {
  return or_fallback<const Array*>(*this, key, nullptr, &Metadata::integers_at);
}
Result<const Array*> Metadata::numbers_or_null(std::string_view key) const {
  return or_fallback<const Array*>(*this, key, nullptr, &Metadata::numbers_at);
}

class MetadataParser {
 public:
  MetadataParser(HeaderReader& reader, Keep keep) : reader_(reader), keep_(keep) {}

  Result<Metadata> run(u64 count) {
    PRONK_OK(reader_.expect(count, min_entry_bytes, "metadata_kv_count " + std::to_string(count)));
    for (u64 i = 0; i < count; ++i) PRONK_OK(entry(i));
    metadata_.bytes_ = {reader_.start(), std::size_t(reader_.position())};
    if (keep_ == Keep::copy) {
      metadata_.own_.assign(metadata_.bytes_.begin(), metadata_.bytes_.end());
      metadata_.bytes_ = metadata_.own_;
    }
    for (Array& array : metadata_.arrays_) rebase(array);
    PRONK_OK(sort_keys());
    return std::move(metadata_);
  }

 private:
  Status entry(u64 index) {
    const std::string nth = "metadata entry " + std::to_string(index);
    Metadata::Entry entry{.key = u32(reader_.position())};
    const u64 key_bytes = reader_.read<u64>();
    PRONK_OK(reader_.check(nth + ": key length"));
    if (key_bytes == 0) return fail(nth + ": the key is empty");
    if (key_bytes > max_key) {
      return fail(nth + ": a key of " + std::to_string(key_bytes) + " bytes is longer than " + std::to_string(max_key));
    }
    const std::string_view key = reader_.read_string(key_bytes);
    PRONK_OK(reader_.check(nth + ": key"));
    const std::string what = "metadata key " + quoted(key);
    PRONK_TRY(entry.type, type(what));
    entry.value = u32(reader_.position());
    if (entry.type == ValueType::array) {
      entry.array = u32(metadata_.arrays_.size());
      PRONK_TRY(Array values, array(what, 1));
      metadata_.arrays_.push_back(std::move(values));
    } else {
      PRONK_OK(skip_value(entry.type, what));
    }
    metadata_.entries_.push_back(entry);
    return {};
  }

  Result<ValueType> type(const std::string& what) {
    const u32 id = reader_.read<u32>();
    PRONK_OK(reader_.check(what + ": type"));
    if (id > u32(ValueType::float64)) return fail(what + ": unknown value type " + std::to_string(id));
    return ValueType(id);
  }

  Status skip_value(ValueType type, const std::string& what) {
    if (type == ValueType::string) {
      const u64 length = reader_.read<u64>();
      PRONK_OK(reader_.check(what + ": string length"));
      reader_.skip(length);
      return reader_.check(what + ": a string of " + std::to_string(length) + " bytes");
    }
    const u8* at = reader_.start() + reader_.position();
    reader_.skip(value_type_bytes(type));
    PRONK_OK(reader_.check(what + ": value"));
    if (type == ValueType::boolean && *at > 1) return fail(what + ": bool is " + std::to_string(*at));
    return {};
  }

  Result<Array> array(const std::string& what, u32 depth) {
    if (depth > max_array_depth) return fail(what + ": arrays nested deeper than " + std::to_string(max_array_depth));
    Array out;
    PRONK_TRY(out.type_, type(what + ": array element"));
    out.count_ = reader_.read<u64>();
    PRONK_OK(reader_.check(what + ": array count"));
    const u64 least = out.type_ == ValueType::string  ? 8
                      : out.type_ == ValueType::array ? min_array_bytes
                                                      : value_type_bytes(out.type_);
    PRONK_OK(reader_.expect(out.count_, least, what + ": array count " + std::to_string(out.count_)));
    out.start_ = reader_.position();
    if (out.type_ == ValueType::array) {
      PRONK_OK(nested(out, what, depth));
    } else if (out.type_ == ValueType::string) {
      out.strings_.reserve(out.count_);
      for (u64 i = 0; i < out.count_; ++i) {
        out.strings_.push_back(u32(reader_.position()));
        reader_.skip(reader_.read<u64>());
        if (reader_.overrun()) return std::unexpected(reader_.check(what + ": string " + std::to_string(i)).error());
      }
    } else {
      reader_.skip(out.count_ * least);
      PRONK_OK(check_bools(out, what));
    }
    return out;
  }

  Status nested(Array& out, const std::string& what, u32 depth) {
    nested_arrays_ += out.count_;
    if (nested_arrays_ > max_nested_arrays) {
      return fail(what + ": more than " + std::to_string(max_nested_arrays) + " nested arrays");
    }
    for (u64 i = 0; i < out.count_; ++i) {
      PRONK_TRY(Array element, array(what, depth + 1));
      out.arrays_.push_back(std::move(element));
    }
    return {};
  }

  Status check_bools(const Array& array, const std::string& what) {
    if (array.type_ != ValueType::boolean) return {};
    const u8* at = reader_.start() + array.start_;
    for (u64 i = 0; i < array.count_; ++i) {
      if (at[i] > 1) return fail(what + ": bool " + std::to_string(i) + " is " + std::to_string(at[i]));
    }
    return {};
  }

  void rebase(Array& array) {
    array.bytes_ = metadata_.bytes_.data();
    for (Array& element : array.arrays_) rebase(element);
  }

  Status sort_keys() {
    std::vector<u32>& order = metadata_.by_key_;
    order.resize(metadata_.entries_.size());
    for (u32 i = 0; i < order.size(); ++i) order[i] = i;
    auto less = [this](u32 a, u32 b) { return metadata_.key(a) < metadata_.key(b); };
    std::sort(order.begin(), order.end(), less);
    for (u32 i = 1; i < order.size(); ++i) {
      const std::string_view key = metadata_.key(order[i]);
      if (!less(order[i - 1], order[i])) return fail("metadata key " + quoted(key) + " is there twice");
    }
    return {};
  }

  HeaderReader& reader_;
  Keep keep_;
  Metadata metadata_;
  u64 nested_arrays_ = 0;
};

Result<Metadata> read_metadata(HeaderReader& reader, u64 count, Keep keep) {
  return MetadataParser(reader, keep).run(count);
}

}  // namespace pronk::files
