// Declares a command's options, parses them and prints its help. Bad usage is one line on stderr and exit status 2.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace pronk::cli {

// Why a command did not succeed; every Error of the core converts to one with exit status 1.
struct Failure {
  std::string message;
  int exit_status = 1;
  Failure(Error error) : message(std::move(error.message)) {}
  Failure(std::string text, int status) : message(std::move(text)), exit_status(status) {}
};
using Outcome = std::expected<void, Failure>;  // PRONK_TRY, PRONK_OK and fail() work in a function that returns one
inline std::unexpected<Failure> bad_usage(std::string message) {
  return std::unexpected<Failure>(Failure(std::move(message), 2));
}

enum class OptionKind : u8 { flag, text, integer, number };

struct Option {
  std::string_view name;  // "-m", "--ctx"
  OptionKind kind = OptionKind::text;
  std::string_view value = {};  // what help calls the value: "FILE"; empty for flags, or to show the choices
  std::string_view help = {};   // one line
  bool required = false;
  std::string_view choices = {};  // text: the only values allowed, separated by '|'
  double minimum = -1e300;        // integer, number
  double maximum = 1e300;
  std::string_view short_name = {};  // "-t", which is the same as the name; empty: none
};

class Args {
 public:
  bool has(std::string_view option) const;  // given on the command line
  bool flag(std::string_view option) const { return has(option); }
  std::string_view text(std::string_view option, std::string_view fallback = {}) const;
  i64 integer(std::string_view option, i64 fallback = 0) const;
  double number(std::string_view option, double fallback = 0) const;
  bool help() const { return help_; }  // --help was given; nothing else was checked
  // Those that Command::positional names; empty where an optional one is not given.
  std::string_view positional(u32 i = 0) const {
    return i < positionals_.size() ? std::string_view(positionals_[i]) : std::string_view();
  }

 private:
  friend class ArgsParser;
  struct Given {
    const Option* option = nullptr;
    std::string text = {};
    i64 integer = 0;
    double number = 0;
  };
  const Given* find(std::string_view option) const;
  std::span<const Option> options_;
  std::vector<Given> given_;
  std::vector<std::string> positionals_;
  bool help_ = false;
};

struct Command {
  std::string_view name;
  std::string_view summary;  // one line
  std::string_view positional =
      {};  // names in help of what is required: "FILE", "IN OUT", or may follow: "A [B]". Empty: none
  std::span<const Option> options = {};
  Outcome (*run)(const Args& args) = nullptr;
};

// Arguments after the command's name. "--name=value" and "--name value" both do; an option given twice is bad usage.
std::expected<Args, Failure> parse_args(const Command& command, std::span<const char* const> arguments);

std::string help_text(const Command& command);

}  // namespace pronk::cli
