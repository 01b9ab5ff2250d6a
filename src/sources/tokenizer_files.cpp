#include "sources/tokenizer_files.h"

#include <algorithm>

namespace pronk::sources {

namespace {

using text::TokenizerFiles;

constexpr std::string_view names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                      "generation_config.json", "chat_template.jinja"};
constexpr std::string TokenizerFiles::* members[] = {
    &TokenizerFiles::tokenizer, &TokenizerFiles::config, &TokenizerFiles::special_tokens_map,
    &TokenizerFiles::generation_config, &TokenizerFiles::chat_template};
static_assert(std::size(members) == std::size(names));

}  // namespace

std::span<const std::string_view> tokenizer_file_names() { return names; }

std::string* tokenizer_file(TokenizerFiles& files, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  return found == std::end(names) ? nullptr : &(files.*members[found - std::begin(names)]);
}

Result<text::Tokenizer> tokenizer_of(const TokenizerFiles& files) {
  return files.tokenizer.empty() ? text::Tokenizer::none() : text::Tokenizer::from_json(files);
}

}  // namespace pronk::sources
