// CHECK is for bugs, never for input: it is always on and ends the program with the place and the condition.
#pragma once

namespace pronk {
[[noreturn]] void check_failed(const char* file, int line, const char* condition);
}

#define CHECK(condition) \
  (static_cast<bool>(condition) ? static_cast<void>(0) : ::pronk::check_failed(__FILE__, __LINE__, #condition))
