#include "sources/tokenizer_files.h"

#include <algorithm>

#include "base/check.h"
#include "files/gguf.h"
#include "text/rank_keys.h"

namespace pronk::sources {

namespace {

using text::TokenizerFiles;

constexpr std::string_view names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                      "generation_config.json", "chat_template.jinja"};
constexpr std::string TokenizerFiles::* members[] = {
    &TokenizerFiles::tokenizer, &TokenizerFiles::config, &TokenizerFiles::special_tokens_map,
    &TokenizerFiles::generation_config, &TokenizerFiles::chat_template};
static_assert(std::size(members) == std::size(names));

Result<text::Tokenizer> tokenizer_of_ranks(std::string_view ranks) {
  files::GgufWriter keys;
  PRONK_OK(text::write_rank_keys(ranks, keys));
  const std::vector<u8> bytes = keys.header();
  PRONK_TRY(const files::GgufPrefix parsed, files::parse_gguf(bytes, bytes.size()));
  CHECK(parsed.gguf);
  return text::Tokenizer::from_metadata(parsed.gguf->metadata);
}

}  // namespace

std::span<const std::string_view> tokenizer_file_names() { return names; }

std::string* tokenizer_file(TokenizerFiles& files, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  return found == std::end(names) ? nullptr : &(files.*members[found - std::begin(names)]);
}

Result<text::Tokenizer> tokenizer_of(const TokenizerFiles& files) {
  if (!files.ranks.empty()) return tokenizer_of_ranks(files.ranks);
  return files.tokenizer.empty() ? text::Tokenizer::none() : text::Tokenizer::from_json(files);
}

}  // namespace pronk::sources
