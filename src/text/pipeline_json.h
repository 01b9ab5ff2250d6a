// The steps of a Pipeline as tokenizer.json writes them. What is not supported is an error that names it.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "files/json.h"
#include "text/pipeline.h"

namespace pronk::text {

// Append steps; a value that is absent or null means none.
Status read_normalizer(files::JsonValue value, std::vector<Step>& out);
Status read_pre_tokenizer(files::JsonValue value, std::vector<Step>& out);
Result<Decoder> read_decoder(files::JsonValue value);

// Ids that stand before and after a text.
struct Ends {
  std::vector<u64> prefix, suffix;
};
Result<Ends> read_post_processor(files::JsonValue value);

std::unexpected<Error> unsupported(std::string_view what, std::string_view name);

}  // namespace pronk::text
