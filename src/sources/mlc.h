// A model as a folder that MLC's compiler writes and WebLLM loads: mlc-chat-config.json, a cache JSON that says where
// in which shard each tensor lies, and the shards, which have no header.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "files/gguf.h"
#include "files/json.h"
#include "sources/source.h"
#include "sources/tokenizer_files.h"

namespace pronk::sources {

class Mlc final : public Source {
 public:
  // The configuration, and the two names of the cache JSON, of which one has to be there; the newer comes first.
  static std::span<const std::string_view> file_names();

  // What other kinds of folders have is ignored.
  Status add_file(std::string_view name, std::string contents) override;
  std::span<const std::string> weight_files() const override { return shard_files_; }
  std::string_view weight_md5(u32 file) const override { return shard_md5s_[file]; }
  u32 weights_added() const override { return next_; }
  Result<u64> add_header(std::span<const u8> prefix, std::optional<u64> file_size) override;
  Result<files::Gguf> header() const override;
  Result<text::Tokenizer> tokenizer() const override { return tokenizer_of(texts_); }
  const text::TokenizerFiles& tokenizer_files() const override { return texts_; }

 private:
  Status read_config(std::string contents);
  Status read_cache(files::JsonValue root);
  Status read_shard(files::JsonValue shard);
  Status join_pieces();

  std::optional<files::Json> config_;
  text::TokenizerFiles texts_;
  std::vector<std::string> shard_files_;
  std::vector<u64> shard_bytes_;
  std::vector<std::string> shard_md5s_;     // empty: not told
  std::vector<files::TensorInfo> tensors_;  // by their names in the folder, quantized ones as one each
  u32 next_ = 0;                            // of shard_files_
};

}  // namespace pronk::sources
