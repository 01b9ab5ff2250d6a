// Reads a file's header from a prefix of it, telling "not here yet" from "can never be there".
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace pronk::files {

class HeaderReader {
 public:
  HeaderReader(std::span<const u8> prefix, std::optional<u64> file_size, u64 longest)
      : file_size_(file_size),
        limit_(std::min(file_size.value_or(longest), longest)),
        prefix_(prefix.first(static_cast<std::size_t>(std::min<u64>(prefix.size(), limit_)))),
        bytes_(prefix_) {}

  template <class T>
  T read() {
    return bytes_.read<T>();
  }
  std::string_view read_string(u64 length) { return bytes_.read_string(length); }
  void skip(u64 length) { bytes_.skip(length); }

  const u8* start() const { return prefix_.data(); }
  u64 position() const { return bytes_.position(); }
  bool overrun() const { return bytes_.overrun(); }
  u64 needed() const { return bytes_.needed(); }

  // After reads: an error when the prefix did not reach. Its message is empty when more bytes may mend it (needed()
  // says how many), else it says that `what` runs past the end.
  Status check(std::string_view what) const { return overrun() ? Status(past(what, bytes_.needed())) : Status(); }

  // Before a loop over count things of at least `least` bytes each: an error as of check() when they cannot be there.
  Status expect(u64 count, u64 least, std::string_view what) {
    if (count > limit_ / least) return past(what, limit_ + 1);
    if (count * least > bytes_.remaining()) bytes_.skip(count * least);  // asks for all of them at once
    return check(what);
  }

 private:
  std::unexpected<Error> past(std::string_view what, u64 needed) const {
    if (needed <= limit_) return fail("");
    if (file_size_ && limit_ == *file_size_) {
      return fail(std::string(what) + " runs past the end of the file (" + std::to_string(*file_size_) + " bytes)");
    }
    return fail(std::string(what) + " makes the header longer than " + std::to_string(limit_) + " bytes");
  }

  std::optional<u64> file_size_;
  u64 limit_;  // no position reaches past it
  std::span<const u8> prefix_;
  ByteReader bytes_;
};

}  // namespace pronk::files
