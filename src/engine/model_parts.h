// What is behind pronk::Model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "files/gguf.h"
#include "models/model.h"
#include "pronk/pronk.h"
#include "text/tokenizer.h"

namespace pronk {

struct Model::Parts {
  std::vector<files::Gguf> headers;  // until they are joined
  u32 file_count = 1;
  files::Gguf file;
  std::optional<models::Model> model;
  std::optional<text::Tokenizer> tokenizer;
  std::string name;
  std::optional<Status> read;  // what came of read_headers(), once it was called

  Status read_headers();
};

}  // namespace pronk
