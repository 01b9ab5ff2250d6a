// config.json: what kind of model it is, and its hyper-parameters as a GGUF file has them.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "files/gguf_writer.h"
#include "files/json.h"
#include "sources/families.h"
#include "sources/sentence_transformers.h"

namespace pronk::sources {

class Config {
 public:
  // `root`, which must outlive this, or its text_config. An error when pronk does not run such a model.
  static Result<Config> read(files::JsonValue root);
  // The same from mlc-chat-config.json, whose model_config has some keys under other names.
  static Result<Config> read_mlc(files::JsonValue root);

  const Family& family() const { return *family_; }
  bool tied() const { return tied_; }                // logits come from the embedding
  bool may_be_tied() const { return may_be_tied_; }  // nothing says so or not: whether there is a head does
  u32 vocab() const { return vocab_; }
  // [group, entries, books] of AQLM's code books; nullopt: the model is not quantized.
  const std::optional<std::array<u64, 3>>& books() const { return books_; }
  // Such books and a head of its own, whatever the configuration says.
  void set_aqlm(const std::array<u64, 3>& books) {
    books_ = books;
    tied_ = false;
  }
  void set_pooling(u32 type) { pooling_ = type; }                   // pooling_type, unless it ranks
  void set_dense(std::span<const Dense> dense) { dense_ = dense; }  // which must outlive this
  Status write(files::GgufWriter& header) const;                    // general.architecture and the architecture's keys

 private:
  // The value of a key, or the default; absent or null when there is neither.
  files::JsonValue operator[](std::string_view key) const;
  std::string full(std::string_view key) const { return std::string(family_->architecture) + "." + std::string(key); }
  static Result<Config> of_type(std::string_view model_type, files::JsonValue given);
  Status read_rest(files::JsonValue root);
  Status check() const;
  Status check_only() const;
  Status check_steps() const;
  Result<u32> adjusted_width(u32 width) const;
  Status read_quantization(files::JsonValue quantization);
  Status check_refused(files::JsonValue root) const;
  Status write_own(files::GgufWriter& header) const;
  Status write_numbers(files::GgufWriter& header) const;
  Status write_hidden_widths(files::GgufWriter& header) const;
  Status write_heads(files::GgufWriter& header) const;
  files::JsonValue global_kv_heads() const;
  Status write_windows(files::GgufWriter& header) const;
  Status write_layer_types(files::JsonValue types, files::GgufWriter& header) const;
  Status write_attention_layers(files::GgufWriter& header) const;
  Status write_sparsity(files::GgufWriter& header) const;
  Status write_rotated_layers(files::GgufWriter& header) const;
  files::JsonValue rope() const;
  Status write_rope(files::GgufWriter& header) const;
  Status write_rope_scaling(files::JsonValue rope, files::GgufWriter& header) const;
  Status write_yarn_magnitude(files::JsonValue rope, files::GgufWriter& header) const;
  Status write_proportional_rope(files::JsonValue rope, files::GgufWriter& header) const;
  Status write_long_rope(files::JsonValue rope, files::GgufWriter& header) const;
  bool long_rope() const;
  Result<u32> original_context() const;
  Result<u32> whole(std::string_view key) const;
  Result<u32> sum_of(std::string_view products) const;
  Result<u32> product(std::string_view factors) const;
  Result<u32> head_width() const;

  files::JsonValue given_;
  files::Json defaults_;
  const Family* family_ = nullptr;
  bool tied_ = false, may_be_tied_ = false;
  u32 vocab_ = 0;
  std::optional<u32> pooling_;
  std::span<const Dense> dense_;
  std::optional<std::array<u64, 3>> books_;
};

}  // namespace pronk::sources
