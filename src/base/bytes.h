// A bounded little-endian reader: every read is checked against the end, and says how many bytes it lacked.
#pragma once

#include <bit>
#include <cstring>
#include <span>
#include <string_view>

#include "base/types.h"

namespace pronk {

static_assert(std::endian::native == std::endian::little, "pronk reads little-endian files in place");

template <class T>
T load_le(const u8* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void store_le(u8* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

// Reads past the end give zero and set overrun(); the caller checks once after a group of reads.
class ByteReader {
 public:
  explicit ByteReader(std::span<const u8> bytes) : bytes_(bytes) {}

  u64 position() const { return position_; }
  u64 remaining() const { return bytes_.size() - position_; }
  bool overrun() const { return needed_ != 0; }
  // Total bytes from the start that the first failed read wanted; 0 if none failed.
  u64 needed() const { return needed_; }

  template <class T>
  T read() {
    const u8* at = take(sizeof(T));
    return at ? load_le<T>(at) : T{};
  }

  // A view into the bytes; empty when they do not reach.
  std::string_view read_string(u64 length) {
    const u8* at = take(length);
    return at ? std::string_view(reinterpret_cast<const char*>(at), length) : std::string_view{};
  }

  bool skip(u64 length) { return take(length) != nullptr; }

 private:
  const u8* take(u64 length) {
    if (needed_ != 0 || length > remaining()) {
      if (needed_ == 0) needed_ = length > ~u64{0} - position_ ? ~u64{0} : position_ + length;
      return nullptr;
    }
    const u8* at = bytes_.data() + position_;
    position_ += length;
    return at;
  }

  std::span<const u8> bytes_;
  u64 position_ = 0;
  u64 needed_ = 0;
};

}  // namespace pronk
