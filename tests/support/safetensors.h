// safetensors files for tests.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace pronk::test {

// A header as it is given, and so many bytes of data: 0, 1, 2, …
inline std::vector<u8> safetensors(std::string_view header, u64 data_bytes) {
  std::vector<u8> file(8 + header.size() + data_bytes);
  const u64 length = header.size();
  std::memcpy(file.data(), &length, 8);
  std::memcpy(file.data() + 8, header.data(), header.size());
  for (u64 i = 0; i < data_bytes; ++i) file[8 + header.size() + i] = u8(i);
  return file;
}

}  // namespace pronk::test
