// What is behind pronk::Model.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "files/gguf.h"
#include "models/model.h"
#include "pronk/pronk.h"
#include "sources/source.h"
#include "text/tokenizer.h"

namespace pronk {

struct Model::Parts {
  std::unique_ptr<sources::Source> source;  // of a model that is not GGUF, until its headers are read
  std::vector<files::Gguf> headers;         // until they are joined
  u32 file_count = 1;
  files::Gguf file;
  std::shared_ptr<const models::Model> model;
  std::optional<text::Tokenizer> tokenizer;
  std::string name;
  std::optional<Status> read;  // what came of read_headers(), once it was called

  Status read_headers();
  Status join();       // all headers into `file`
  Status read_text();  // the tokenizer

  // What is loaded for `options`, which come back with what follows from them.
  struct Loadable {
    std::shared_ptr<const models::Model> model;  // without logits when embeddings are wanted
    LoadOptions options;
  };
  Result<Loadable> loadable(LoadOptions options) const;
};

}  // namespace pronk
