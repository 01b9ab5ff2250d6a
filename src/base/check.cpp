#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace pronk {

void check_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "pronk: bug at %s:%d: %s\n", file, line, condition);
  std::abort();
}

}  // namespace pronk
