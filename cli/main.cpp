// The command line of pronk: finds the command, parses its options, runs it and turns failures into an exit status.
#include <cstdio>
#include <string>

#include "base/quote.h"
#include "commands.h"

namespace pronk::cli {

namespace {

constexpr const char* version = "0.1.0";

const Command* const commands[] = {
    &inspect_command, &tokenize_command, &detokenize_command, &logits_command,     &generate_command, &embed_command,
    &plan_command,    &cache_command,    &dequant_command,    &perplexity_command, &quantize_command, &convert_command,
    &synth_command,   &test_ops_command, &kernels_command,    &bench_command,      &tune_command,
};

std::string program_help() {
  std::string text = "pronk COMMAND [OPTIONS]\nRuns language models from GGUF files.\n\n";
  for (const Command* command : commands) {
    text += "  " + std::string(command->name) + std::string(13 - command->name.size(), ' ');
    text += std::string(command->summary) + "\n";
  }
  return text + "\npronk COMMAND --help tells a command's options; pronk --version the version.\n";
}

int report(const Failure& failure) {
  std::fprintf(stderr, "%s%s\n", failure.exit_status == 2 ? "" : "pronk: ", failure.message.c_str());
  return failure.exit_status;
}

int run(const Command& command, std::span<const char* const> arguments) {
  const std::expected<Args, Failure> args = parse_args(command, arguments);
  if (!args) return report(args.error());
  if (args->help()) {
    std::fputs(help_text(command).c_str(), stdout);
    return 0;
  }
  const Outcome outcome = command.run(*args);
  if (!outcome) return report(outcome.error());
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) return report(Failure("cannot write to standard output", 1));
  return 0;
}

}  // namespace

}  // namespace pronk::cli

int main(int count, char** values) {
  using namespace pronk::cli;
  const std::string_view name = count > 1 ? values[1] : "";
  if (name == "--help" || name == "-h" || name == "help") {
    std::fputs(program_help().c_str(), stdout);
    return 0;
  }
  if (name == "--version") {
    std::printf("pronk %s\n", version);
    return 0;
  }
  for (const Command* command : commands) {
    if (command->name == name) return run(*command, {values + 2, values + count});
  }
  if (name.empty()) return report(Failure("pronk: a command is missing; pronk --help lists them", 2));
  return report(Failure("pronk: unknown command " + pronk::quoted(name) + "; pronk --help lists them", 2));
}
