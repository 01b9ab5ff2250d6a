// A model as the files that AQLM.rs loads: a safetensors file for each tensor, tokenizer.model, and no configuration,
// since the program knows the shapes of its models. Layout 1 has embedding and head as bytes with a scale for each
// column, layout 2 the embedding as four-bit codes and the head in parts. A config.json beside them says more.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/safetensors.h"
#include "sources/huggingface_config.h"
#include "sources/source.h"
#include "sources/tokenizer_files.h"

namespace pronk::sources {

// Its tensors are not as GGUF has them: header() is for converters (files::Stored).
class AqlmRs final : public Source {
 public:
  // The last norm, which says that a folder is one, and what it may have besides it.
  static std::span<const std::string_view> file_names();

  Status add_file(std::string_view name, std::string contents) override;
  void add_names(std::span<const std::string_view> names) override;
  // None when nothing says how many layers there are; header() is then an error.
  std::span<const std::string> weight_files() const override { return weight_files_; }
  u32 weights_added() const override { return u32(tensors_.size()); }
  Result<u64> add_header(std::span<const u8> prefix, std::optional<u64> file_size) override;
  Result<files::Gguf> header() const override;
  Result<text::Tokenizer> tokenizer() const override { return tokenizer_of(texts_); }
  const text::TokenizerFiles& tokenizer_files() const override { return texts_; }

 private:
  void list_files();
  u64 width() const;
  u64 layers() const;  // 0: not known
  const files::SafeTensor* find(std::string_view name) const;
  Result<std::string> usual_config() const;
  Result<std::vector<files::TensorInfo>> tensors() const;

  std::optional<files::Json> config_;
  std::optional<files::SafeTensor> norm_;
  bool second_layout_ = false;
  u32 listed_layers_ = 0;
  text::TokenizerFiles texts_;
  std::vector<std::string> weight_files_;
  std::vector<files::SafeTensor> tensors_;  // by weight_files_
};

}  // namespace pronk::sources
