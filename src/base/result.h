// Errors are values: a Result holds either what was asked for or one clear line that says what was wrong.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "base/enums.h"
#include "base/types.h"

namespace pronk {

// clang-format off: one value a line reads better than as a macro's arguments.

// What kind of failure an error is, for a program. The package makes its own codes of these (web/src/runtime/errors.ts).
PRONK_ENUM(ErrorCode, u8,
  (unspecified, 0),    // what it is follows from the call that failed
  (bad_model, 1),      // the file is damaged, or no model
  (unsupported, 2),    // a good file that asks for something pronk does not know
  (out_of_memory, 3),  // it does not fit the device, its limits or the budget
  (bad_argument, 4),
  (no_device, 5),      // there is no GPU to be had
  (wrong_gpu, 6),      // the GPU's results are not the CPU's
  (device_lost, 7),
  (device_failed, 8),  // the GPU refused or failed what every GPU can do: a bug of pronk or of a driver
  (internal, 9)        // a bug of pronk, or of its host
);
// clang-format on

struct Error {
  std::string message;  // one line, no trailing newline; names the field, tensor or limit it speaks of
  ErrorCode code = ErrorCode::unspecified;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected<Error>(Error{std::move(message), code});
}
inline std::unexpected<Error> fail(std::string message) { return fail(ErrorCode::unspecified, std::move(message)); }

}  // namespace pronk

#define PRONK_CONCAT_(a, b) a##b
#define PRONK_CONCAT(a, b) PRONK_CONCAT_(a, b)

// PRONK_TRY(auto x, expression): x is the value of a Result, or the function returns its error.
#define PRONK_TRY(declaration, ...) PRONK_TRY_(PRONK_CONCAT(result_, __LINE__), declaration, __VA_ARGS__)
#define PRONK_TRY_(name, declaration, ...)                    \
  auto name = (__VA_ARGS__);                                  \
  if (!name) return std::unexpected(std::move(name.error())); \
  declaration = std::move(*name)

// PRONK_OK(expression): the function returns the error of a Status, or goes on.
#define PRONK_OK(...)                                                                               \
  do {                                                                                              \
    if (auto status_ = (__VA_ARGS__); !status_) return std::unexpected(std::move(status_.error())); \
  } while (0)
