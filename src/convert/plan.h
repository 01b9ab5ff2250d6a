// The GGUF file that a source becomes: its head, and what each tensor is made of.
#pragma once

#include <memory>
#include <vector>

#include "convert/job.h"
#include "sources/source.h"

namespace pronk::convert {

struct Plan {
  files::Gguf gguf;          // of the source
  std::vector<Part> parts;   // of all tensors in turn
  std::vector<u64> offsets;  // of each part in the file
  std::vector<u64> sizes;    // bytes
  std::vector<u8> head;      // the file up to its first tensor

  u64 bytes() const { return parts.empty() ? head.size() : offsets.back() + sizes.back(); }
};

// Of a source that has all of its headers.
Result<Plan> plan_of(const sources::Source& source);

}  // namespace pronk::convert
