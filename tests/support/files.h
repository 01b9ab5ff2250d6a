// Whole files for tests, and the optional reference data beside the repository.
#pragma once

#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"

namespace pronk::test {

// Nullopt when it cannot be opened.
inline std::optional<std::vector<u8>> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::vector<u8>(std::istreambuf_iterator<char>(in), {});
}

// A file of ../shared, which not every machine has: tests skip without it.
inline std::string shared_path(const std::string& name) { return PRONK_SOURCE_DIR "/../shared/" + name; }

}  // namespace pronk::test
