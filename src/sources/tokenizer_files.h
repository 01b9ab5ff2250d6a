// The files beside a model that make its tokenizer.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/tokenizer.h"

namespace pronk::sources {

std::span<const std::string_view> tokenizer_file_names();
// Where the contents of the file of that name go; null when it is none of those.
std::string* tokenizer_file(text::TokenizerFiles& files, std::string_view name);
// Without tokenizer.json and ranks: Tokenizer::none().
Result<text::Tokenizer> tokenizer_of(const text::TokenizerFiles& files);

}  // namespace pronk::sources
