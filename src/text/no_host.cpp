#include "text/host.h"
#include "text/normal_form.h"
#include "text/tokenizer.h"

namespace pronk::text {

Status load_json_pipeline(const files::Metadata& metadata, Vocabulary& out) {
  PRONK_TRY(const std::string_view json, metadata.string_at(json_key));
  PRONK_TRY(out, load_vocabulary(TokenizerFiles{.tokenizer = std::string(json)}));
  return {};
}

void append_composed(std::string_view text, std::string& out) { append_normal_form(text, false, true, out); }

}  // namespace pronk::text
