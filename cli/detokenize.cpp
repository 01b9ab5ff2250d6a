// pronk detokenize: token ids to text.
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

Result<std::vector<u32>> parse_ids(const std::string& input, u32 vocab_size) {
  const nlohmann::json array = nlohmann::json::parse(input, nullptr, false);
  if (!array.is_array()) return fail("the input is not a JSON array of token ids");
  std::vector<u32> ids;
  for (const nlohmann::json& value : array) {
    if (!value.is_number_unsigned() || value.get<u64>() >= vocab_size) {
      return fail("entry " + std::to_string(ids.size()) + " of the input is not a token id below " +
                  std::to_string(vocab_size));
    }
    ids.push_back(value.get<u32>());
  }
  return ids;
}

Outcome run(const Args& args) {
  SourceOptions source = source_options(args);
  source.header_only = true;
  PRONK_TRY(const text::Tokenizer tokenizer, read_tokenizer(std::string(args.text("-m")), source));
  PRONK_TRY(const std::string input, read_stdin());
  PRONK_TRY(const std::vector<u32> ids, parse_ids(input, tokenizer.vocab_size()));
  const std::string text = tokenizer.decode(ids, args.flag("--special"));
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

constexpr Option options[] = {
    {.name = "-m",
     .value = "MODEL",
     .help = "GGUF model or vocabulary: file, http(s) URL or hf:owner/repo/file.gguf; or a folder with tokenizer.json",
     .required = true},
    {.name = "--special", .kind = OptionKind::flag, .help = "control tokens are written out"},
    cache_option,
    no_cache_option,
};

}  // namespace

const Command detokenize_command = {
    .name = "detokenize",
    .summary = "Reads a JSON array of token ids on stdin and prints their text.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
