// A model that is not GGUF, as the engine sees it. Only what makes one is linked: a program that opens no such model
// carries no reader of them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "files/gguf.h"
#include "text/tokenizer.h"

namespace pronk::sources {

class Source {
 public:
  virtual ~Source() = default;

  // A small file, whole. Errors name what is wrong in it.
  virtual Status add_file(std::string_view name, std::string contents) = 0;

  // The names of all files of the folder, where they are known.
  virtual void add_names(std::span<const std::string_view>) {}

  // The files with weights, known when the others have been added, and the names: paths in the folder, in the order
  // of add_header().
  virtual std::span<const std::string> weight_files() const = 0;
  // Of one of them, in lower-case hex, where the folder tells it; else empty.
  virtual std::string_view weight_md5([[maybe_unused]] u32 file) const { return {}; }
  virtual u32 weights_added() const = 0;  // files
  // The first bytes of the next of them. Returns 0 when its header is whole, else how many bytes from the start to call
  // again with.
  virtual Result<u64> add_header(std::span<const u8> prefix, std::optional<u64> file_size) = 0;

  // When all are there: the whole in GGUF's words, without its vocabulary.
  virtual Result<files::Gguf> header() const = 0;
  virtual Result<text::Tokenizer> tokenizer() const = 0;
  virtual const text::TokenizerFiles& tokenizer_files() const = 0;  // what that is made of
};

}  // namespace pronk::sources
