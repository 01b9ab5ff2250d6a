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
#include "sources/families.h"
#include "sources/sentence_transformers.h"
#include "sources/source.h"
#include "sources/tokenizer_files.h"

namespace pronk::sources {

class HuggingFace final : public Source {
 public:
  // The files of a folder that are read whole, before the weights, besides those of the tokenizer; all but the first
  // may be missing.
  static std::span<const std::string_view> file_names();

  // Whether a model with that config.json has tensors that a converter puts together (assemble.h).
  static bool is_assembled(const std::string& config);

  // What other kinds of folders have is ignored.
  Status add_file(std::string_view name, std::string contents) override;
  std::span<const std::string> weight_files() const override { return weight_files_; }
  u32 weights_added() const override { return next_; }
  Result<u64> add_header(std::span<const u8> prefix, std::optional<u64> file_size) override;
  Status add_weights(files::Safetensors header);  // the same from a whole header

  // Norms that count from 1 and frequencies that GGUF has in a tensor are told in its own words (TensorInfo::added,
  // rope.scaling.type llama3), rows of q and k that GGUF has in another order by rope.halves.
  Result<files::Gguf> header() const override;
  Result<text::Tokenizer> tokenizer() const override { return tokenizer_of(texts_); }
  const text::TokenizerFiles& tokenizer_files() const override { return texts_; }

 private:
  Status add_json(std::string_view name, files::Json json);
  Status read_index(const files::Json& index);
  Status add_dense_files(u32 count);
  Status add_dense_weights(u32 module, const files::Safetensors& header);
  std::optional<u32> file_of(std::string_view tensor) const;  // by the index; nullopt: it does not say

  std::optional<files::Json> config_;
  const Family* family_ = nullptr;
  std::optional<u32> pooling_;  // pooling_type
  std::vector<Dense> dense_;    // each has a weight file, after the others
  text::TokenizerFiles texts_;
  std::vector<std::string> weight_files_{"model.safetensors"};
  std::vector<std::pair<std::string, u32>> map_;  // names of tensors and their files, sorted
  std::vector<u64> expected_;                     // how many of them each file has
  std::vector<files::TensorInfo> tensors_;        // by their names in the folder
  u32 next_ = 0;                                  // of weight_files_
};

}  // namespace pronk::sources
