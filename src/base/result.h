// Errors are values: a Result holds either what was asked for or one clear line that says what was wrong.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace pronk {

struct Error {
  std::string message;  // one line, no trailing newline; names the field, tensor or limit it speaks of
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(std::string message) { return std::unexpected<Error>(Error{std::move(message)}); }

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
