#include "text/host.h"
#include "text/normal_form.h"
#include "text/tokenizer.h"

namespace pronk::text {

Status load_json_pipeline(const files::Metadata& metadata, Vocabulary& out) {
  PRONK_TRY(const std::string_view json, metadata.string_at(json_key));
  PRONK_TRY(Vocabulary read, load_vocabulary(TokenizerFiles{.tokenizer = std::string(json)}));
  if (read.spellings.count() != out.spellings.count()) {
    return fail(std::string(json_key) + " has " + std::to_string(read.spellings.count()) + " tokens, the file " +
                std::to_string(out.spellings.count()));
  }
  out = std::move(read);
  return {};
}

void append_composed(std::string_view text, std::string& out) { append_normal_form(text, false, true, out); }

}  // namespace pronk::text
