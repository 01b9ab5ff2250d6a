// RoPE's frequencies as a file's metadata gives them.
#pragma once

#include <string>

#include "base/result.h"
#include "files/metadata.h"
#include "graph/graph.h"

namespace pronk::models {

// Linear scaling, Llama 3's (arXiv 2407.21783) and YaRN's (arXiv 2309.00071), by rope.scaling.*; `base` has been read.
// rotated: columns of a head, even. Tensors with divisors apart.
Result<graph::RopeTable> read_rope_table(const files::Metadata& metadata, const std::string& architecture, u32 rotated,
                                         double base, bool scaled);

}  // namespace pronk::models
