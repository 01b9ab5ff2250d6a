// pronk tokenize: text to token ids.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands.h"
#include "file.h"
#include "source.h"
#include "text/tokenizer.h"

namespace pronk::cli {

namespace {

text::Tokenizer::Bos bos_of(std::string_view choice) {
  if (choice == "on") return text::Tokenizer::Bos::on;
  return choice == "off" ? text::Tokenizer::Bos::off : text::Tokenizer::Bos::automatic;
}

Outcome print_ids(const text::Tokenizer& tokenizer, std::string_view text, text::Tokenizer::Encode options) {
  PRONK_TRY(const std::vector<u32> ids, tokenizer.encode(text, options));
  std::string line = "[";
  for (const u32 id : ids) line += (line.size() > 1 ? "," : "") + std::to_string(id);
  std::puts((line + "]").c_str());
  return {};
}

Outcome print_lines(const text::Tokenizer& tokenizer, std::string_view input, text::Tokenizer::Encode options) {
  for (u64 number = 1; !input.empty(); ++number) {
    const u64 end = std::min(input.find('\n'), input.size());
    const nlohmann::json value = nlohmann::json::parse(input.substr(0, end), nullptr, false);
    if (!value.is_string()) return fail("line " + std::to_string(number) + " of the input is not a JSON string");
    PRONK_OK(print_ids(tokenizer, value.get_ref<const std::string&>(), options));
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  return {};
}

Outcome run(const Args& args) {
  SourceOptions source = source_options(args);
  source.header_only = true;
  PRONK_TRY(const text::Tokenizer tokenizer, read_tokenizer(std::string(args.text("-m")), source));
  PRONK_TRY(const std::string input, read_stdin());
  const text::Tokenizer::Encode options{args.flag("--special"), bos_of(args.text("--bos", "auto"))};
  return args.flag("--jsonl") ? print_lines(tokenizer, input, options) : print_ids(tokenizer, input, options);
}

constexpr Option options[] = {
    {.name = "-m",
     .value = "MODEL",
     .help = "GGUF model or vocabulary: file, http(s) URL or hf:owner/repo/file.gguf; or a folder with tokenizer.json",
     .required = true},
    {.name = "--jsonl", .kind = OptionKind::flag, .help = "each input line is a JSON string, each output line its ids"},
    {.name = "--special", .kind = OptionKind::flag, .help = "control tokens written in the text become their ids"},
    {.name = "--bos",
     .value = "WHEN",
     .help = "auto: bos and eos as the file says; off: neither",
     .choices = "auto|on|off"},
    cache_option,
    no_cache_option,
};

}  // namespace

const Command tokenize_command = {
    .name = "tokenize",
    .summary = "Reads UTF-8 text on stdin and prints its token ids as one JSON array.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
