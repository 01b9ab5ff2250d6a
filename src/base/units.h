// Sizes as messages say them: in decimal units, as files and browsers show theirs.
#pragma once

#include <string>

#include "base/types.h"

namespace pronk {

// To the nearest megabyte; with a decimal under 10 MB, and at least 0.1 MB where there is anything.
inline std::string megabytes(u64 bytes) {
  const u64 tenths = bytes / 100'000 + (bytes % 100'000 >= 50'000);
  if (tenths >= 100) return std::to_string(bytes / 1'000'000 + (bytes % 1'000'000 >= 500'000)) + " MB";
  const u64 shown = bytes > 0 && tenths == 0 ? 1 : tenths;
  return std::to_string(shown / 10) + "." + std::to_string(shown % 10) + " MB";
}

}  // namespace pronk
