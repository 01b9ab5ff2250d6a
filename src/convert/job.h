// A model of any source as one GGUF file: what its tensors are made of, and its metadata. No I/O: who writes the file
// brings the bytes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "files/gguf.h"
#include "files/gguf_writer.h"
#include "formats/format.h"
#include "text/tokenizer.h"

namespace pronk::convert {

// A tensor of the file that is written, made from one of the source.
struct Job {
  std::string name;
  const files::TensorInfo* tensor = nullptr;
  u32 type = 0;
  std::vector<u64> shape;
  const formats::Format* to = nullptr;  // what its weights are encoded in; null: they stay in the source's format

  // Whether its bytes are those of the source.
  bool copied() const { return !to && !tensor->scales; }
};

// As the source stores it, as far as GGUF has words for that: norms that count from 1 become floats.
Job stored(const files::TensorInfo& tensor);

// Where a tensor's bytes lie in the files of its source.
struct Input {
  u32 file = 0;
  u64 offset = 0;
  u64 bytes = 0;
};
// One, or codes and then scales where they are apart.
std::vector<Input> inputs_of(const files::TensorInfo& tensor);

// How a job that is not copied makes some of its weights, whole blocks of both formats, from the bytes of its inputs
// for just these.
struct Recoding {
  const formats::Format* from = nullptr;
  bool apart = false;                   // codes and scales are two inputs
  const formats::Format* to = nullptr;  // as in Job
  float added = 0;                      // to each weight; `to` is then set

  u64 unit_weights() const;  // the least that can be made by itself: counts of weights are multiples of it
  u64 input_bytes(u32 input, u64 weights) const;
  u64 output_bytes(u64 weights) const;
  std::vector<u8> make(u64 weights, std::span<const u8* const> inputs) const;
};
Recoding recoding_of(const Job& job);

// All keys but those of the source's own splits and alignment and those in `replaced`. tokenizer: of a source that
// keeps it in files; what GGUF has no keys for is an error.
Status write_metadata(const files::Metadata& metadata, const text::TokenizerFiles& tokenizer,
                      std::span<const std::string_view> replaced, files::GgufWriter& out);

}  // namespace pronk::convert
