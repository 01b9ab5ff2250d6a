#include "args.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/quote.h"

namespace pronk::cli {

namespace {

template <class T>
bool parse_whole(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool is_choice(std::string_view choices, std::string_view text) {
  while (!choices.empty()) {
    const std::size_t bar = choices.find('|');
    if (choices.substr(0, bar) == text) return true;
    choices = bar == choices.npos ? std::string_view{} : choices.substr(bar + 1);
  }
  return false;
}

std::string shown(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return error == std::errc() ? std::string(text, end) : std::string();
}

std::string range_text(const Option& option) {
  const bool low = option.minimum > -1e300, high = option.maximum < 1e300;
  if (low && high) return "from " + shown(option.minimum) + " to " + shown(option.maximum);
  return low ? "at least " + shown(option.minimum) : "at most " + shown(option.maximum);
}

std::string left_column(const Option& option) {
  std::string text(option.short_name);
  if (!text.empty()) text += ", ";
  text += option.name;
  if (option.kind != OptionKind::flag) {
    text += " ";
    text += option.value.empty() ? option.choices : option.value;
  }
  return text;
}

}  // namespace

class ArgsParser {
 public:
  ArgsParser(const Command& command, std::span<const char* const> arguments)
      : command_(command), arguments_(arguments) {
    args_.options_ = command.options;
  }

  std::expected<Args, Failure> run() {
    while (next_ < arguments_.size()) {
      const std::string_view argument = arguments_[next_++];
      if (!only_positional_ && (argument == "--help" || argument == "-h")) {
        args_.help_ = true;
        return std::move(args_);
      }
      if (!only_positional_ && argument == "--") {
        only_positional_ = true;
      } else if (!only_positional_ && argument.size() > 1 && argument[0] == '-') {
        PRONK_OK(option(argument));
      } else {
        PRONK_OK(positional(argument));
      }
    }
    return finish();
  }

 private:
  std::unexpected<Failure> bad(const std::string& text) const {
    return bad_usage("pronk " + std::string(command_.name) + ": " + text);
  }

  Outcome option(std::string_view argument) {
    const std::size_t equals = argument.starts_with("--") ? argument.find('=') : argument.npos;
    const std::string_view given_name = argument.substr(0, equals);
    const auto known = std::find_if(command_.options.begin(), command_.options.end(), [&](const Option& each) {
      return given_name == each.name || (given_name == each.short_name && !given_name.empty());
    });
    if (known == command_.options.end()) return bad("unknown option " + quoted(given_name));
    const std::string_view name = known->name;
    if (args_.has(name)) return bad(std::string(name) + " is given twice");
    Args::Given given{.option = &*known};
    if (known->kind == OptionKind::flag) {
      if (equals != argument.npos) return bad(std::string(name) + " takes no value");
    } else if (equals != argument.npos) {
      given.text = argument.substr(equals + 1);
    } else if (next_ < arguments_.size()) {
      given.text = arguments_[next_++];
    } else {
      return bad(std::string(name) + " needs a value");
    }
    PRONK_OK(check_value(given));
    args_.given_.push_back(std::move(given));
    return {};
  }

  Outcome check_value(Args::Given& given) const {
    const Option& option = *given.option;
    const std::string name(option.name);
    if (option.kind == OptionKind::text && !option.choices.empty() && !is_choice(option.choices, given.text)) {
      return bad(name + " is " + quoted(given.text) + ", not one of " + std::string(option.choices));
    }
    if (option.kind == OptionKind::integer) {
      if (!parse_whole(given.text, given.integer)) {
        return bad(name + " is " + quoted(given.text) + ", not a whole number");
      }
      given.number = double(given.integer);
    }
    if (option.kind == OptionKind::number && !parse_whole(given.text, given.number)) {
      return bad(name + " is " + quoted(given.text) + ", not a number");
    }
    if (option.kind == OptionKind::integer || option.kind == OptionKind::number) {
      const bool inside = given.number >= option.minimum && given.number <= option.maximum;  // false for NaN
      if (!inside) return bad(name + " is " + quoted(given.text) + "; it must be " + range_text(option));
    }
    return {};
  }

  Outcome positional(std::string_view argument) {
    if (next_positional().empty()) return bad("unexpected argument " + quoted(argument));
    args_.positionals_.emplace_back(argument);
    return {};
  }

  // The name of the next positional argument; empty when no more are taken.
  std::string_view next_positional() const {
    std::string_view names = command_.positional;
    for (std::size_t i = 0; i < args_.positionals_.size() && !names.empty(); ++i) {
      names.remove_prefix(std::min(names.find(' '), names.size() - 1) + 1);
    }
    return names.substr(0, names.find(' '));
  }

  std::expected<Args, Failure> finish() {
    const std::string_view next = next_positional();
    if (!next.empty() && next[0] != '[') return bad(std::string(next) + " is missing");
    for (const Option& option : command_.options) {
      if (option.required && !args_.has(option.name)) return bad(std::string(option.name) + " is missing");
    }
    return std::move(args_);
  }

  const Command& command_;
  std::span<const char* const> arguments_;
  std::size_t next_ = 0;
  bool only_positional_ = false;
  Args args_;
};

const Args::Given* Args::find(std::string_view option) const {
  CHECK(std::any_of(options_.begin(), options_.end(), [&](const Option& each) { return each.name == option; }));
  for (const Given& given : given_) {
    if (given.option->name == option) return &given;
  }
  return nullptr;
}

bool Args::has(std::string_view option) const { return find(option) != nullptr; }

std::string_view Args::text(std::string_view option, std::string_view fallback) const {
  const Given* given = find(option);
  return given ? std::string_view(given->text) : fallback;
}

i64 Args::integer(std::string_view option, i64 fallback) const {
  const Given* given = find(option);
  return given ? given->integer : fallback;
}

double Args::number(std::string_view option, double fallback) const {
  const Given* given = find(option);
  return given ? given->number : fallback;
}

std::expected<Args, Failure> parse_args(const Command& command, std::span<const char* const> arguments) {
  return ArgsParser(command, arguments).run();
}

std::string help_text(const Command& command) {
  std::string text = "pronk " + std::string(command.name);
  for (const Option& option : command.options) {
    text += option.required ? " " + left_column(option) : " [" + left_column(option) + "]";
  }
  if (!command.positional.empty()) text += " " + std::string(command.positional);
  text += "\n" + std::string(command.summary) + "\n\n";
  std::size_t width = 6;
  for (const Option& option : command.options) width = std::max(width, left_column(option).size());
  auto line = [&](const std::string& left, std::string_view right) {
    text += "  " + left + std::string(width + 2 - left.size(), ' ') + std::string(right) + "\n";
  };
  for (const Option& option : command.options) {
    line(left_column(option), option.help);
    if (!option.value.empty() && !option.choices.empty()) line("", option.choices);
  }
  line("--help", "this text");
  return text;
}

}  // namespace pronk::cli
