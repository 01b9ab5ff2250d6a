// A model as a folder that Hugging Face's libraries write: config.json, safetensors and their index. It is translated
// into what a GGUF header says, keys and names of tensors alike, so that nothing above knows the difference; the
// weights stay as they lie in their files.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "files/gguf.h"
#include "files/json.h"
#include "files/safetensors.h"
#include "text/tokenizer.h"

namespace pronk::sources {

class HuggingFace {
 public:
  // The files of a folder that are read whole, before the weights; all but the first may be missing.
  static std::span<const std::string_view> file_names();
  // Those of them that make a tokenizer, which may be added alone.
  static std::span<const std::string_view> tokenizer_file_names();
  // One of file_names(). Errors name what is wrong in it.
  Status add_file(std::string_view name, std::string contents);

  // The files with weights, known when all others have been added: plain names, in the order of add_weights().
  std::span<const std::string> weight_files() const { return weight_files_; }
  Status add_weights(files::Safetensors header);
  u32 weights_added() const { return next_; }  // files

  // The whole header. Norms that count from 1 and frequencies that GGUF has in a tensor are told in its own words
  // (TensorInfo::added, rope.scaling.type llama3), rows of q and k that GGUF has in another order by rope.halves.
  Result<files::Gguf> header() const;
  const text::TokenizerFiles& tokenizer_files() const { return texts_; }

 private:
  Status read_index(const files::Json& index);
  std::optional<u32> file_of(std::string_view tensor) const;  // by the index; nullopt: it does not say

  std::optional<files::Json> config_;
  text::TokenizerFiles texts_;
  std::vector<std::string> weight_files_{"model.safetensors"};
  std::vector<std::pair<std::string, u32>> map_;  // names of tensors and their files, sorted
  std::vector<files::TensorInfo> tensors_;        // by their names in the folder
  u32 next_ = 0;                                  // of weight_files_
};

}  // namespace pronk::sources
