#include "base/check.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace pronk {

void check_failed(const char* file, int line, const char* condition) {
  const std::string place = "pronk: bug at " + std::string(file) + ":" + std::to_string(line) + ": ";
  std::fputs((place + condition + "\n").c_str(), stderr);  // printf() would be much of a small WASM module
  std::abort();
}

}  // namespace pronk
