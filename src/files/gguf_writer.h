// Writes GGUF version 3 through a sink: a header built in memory, then tensor data streamed in file order.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "files/metadata.h"

namespace pronk::files {

// Takes the file's bytes in order; a failure ends the writing.
using Sink = std::function<Status(std::span<const u8>)>;

class GgufWriter {
 public:
  // alignment: a power of two; written as general.alignment when it is not the default.
  explicit GgufWriter(u32 alignment = 32);

  // Keys must be new: the writer does not look for duplicates.
  void add_u8(std::string_view key, u8 value);
  void add_u16(std::string_view key, u16 value);
  void add_u32(std::string_view key, u32 value);
  void add_i32(std::string_view key, i32 value);
  void add_u64(std::string_view key, u64 value);
  void add_f32(std::string_view key, float value);
  void add_f64(std::string_view key, double value);
  void add_bool(std::string_view key, bool value);
  void add_string(std::string_view key, std::string_view value);
  void add_strings(std::string_view key, std::span<const std::string> values);
  void add_i32s(std::string_view key, std::span<const i32> values);
  void add_f32s(std::string_view key, std::span<const float> values);

  void add_entry(std::span<const u8> raw);  // as Metadata::raw() gives it

  // shape: 1–4 dimensions, fastest first. The type must be one of ggml_types.h and fit the shape (CHECK).
  void add_tensor(std::string_view name, u32 type, std::span<const u64> shape);

  u64 tensor_count() const { return tensors_.size(); }
  u64 tensor_bytes(u64 index) const { return tensors_[index].bytes; }
  u64 tensor_offset(u64 index) const { return tensors_[index].offset; }  // from the end of the header

  // The file up to its first tensor, padded to the alignment.
  std::vector<u8> header() const;

  // Writes everything. data(i, sink) writes exactly tensor_bytes(i) bytes of tensor i; called in order.
  Status write(const Sink& sink, const std::function<Status(u64 index, const Sink& sink)>& data) const;

 private:
  struct Tensor {
    std::string name;
    u32 type = 0;
    std::vector<u64> shape;
    u64 offset = 0;  // from the start of the data
    u64 bytes = 0;
  };
  void key(std::string_view key, ValueType type);

  u32 alignment_;
  u64 metadata_count_ = 0;
  std::vector<u8> metadata_;
  std::vector<Tensor> tensors_;
  u64 data_bytes_ = 0;
};

}  // namespace pronk::files
