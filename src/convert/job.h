// A model of any source as one GGUF file: what its tensors are made of, and its metadata. No I/O: who writes the file
// brings the bytes.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "files/gguf.h"
#include "files/gguf_writer.h"
#include "text/tokenizer.h"

namespace pronk::convert {

// How the bytes of a tensor are made of those of its source.
struct Making {
  u32 type = 0;  // of the source's tensor
  files::Stored stored = files::Stored::whole;
  bool scales_apart = false;
  float added = 0;        // to each number where the scales are not apart
  u64 row = 0, rows = 0;  // bytes and number of the rows that come of it, where `stored` is of rows

  bool copies() const { return stored == files::Stored::whole && !scales_apart && added == 0; }
};
// A tensor of the file that is written, made from one of the source, as the source stores it as far as GGUF has words
// for that: codes and scales that are apart are joined to blocks, and norms that count from 1 become floats.
struct Job {
  std::string name;
  const files::TensorInfo* tensor = nullptr;
  u32 type = 0;
  std::vector<u64> shape;

  // Whether its bytes lie in the source as they are, and in one place.
  bool copied() const;
};
Result<Job> job_of(const files::TensorInfo& tensor);

// Where a tensor's bytes lie in the files of its source.
struct Input {
  u32 file = 0;
  u64 offset = 0;
  u64 bytes = 0;
};
// What a tensor is made of: one part, or one behind the other.
struct Part {
  Making making;
  std::vector<Input> inputs;  // one, or codes and then scales where they are apart

  u64 bytes() const;  // that it makes
};
// Of a tensor that has a job.
std::vector<Part> parts_of(const files::TensorInfo& tensor);

// Whether that is made as one unit.
bool is_made_whole(files::Stored stored);

// The least of a tensor that can be made by itself. A whole number of them makes the tensor.
struct Unit {
  u32 bytes = 0;                   // that are made
  std::array<u32, 2> of_inputs{};  // bytes that they are made of
};
// nullopt: it cannot be made.
std::optional<Unit> unit_of(const Making& making);
// `count` units from the bytes of the inputs for just these.
std::vector<u8> make(const Making& making, u64 count, std::span<const u8* const> inputs);

// All keys but those of the source's own splits and alignment and those in `replaced`. tokenizer: of a source that
// keeps it in files; what GGUF has no keys for is an error.
Status write_metadata(const files::Metadata& metadata, const text::TokenizerFiles& tokenizer,
                      std::span<const std::string_view> replaced, files::GgufWriter& out);

}  // namespace pronk::convert
