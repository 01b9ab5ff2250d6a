// Tensors whose rows, experts or numbers lie otherwise in a folder than in GGUF. Which they are the tables of the
// families say, by rules with a name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "files/gguf.h"
#include "sources/families.h"

namespace pronk::sources {

// A tensor of a folder with the name that GGUF has for it, or for what is made of it.
struct NamedTensor {
  files::TensorInfo tensor;
  std::string theirs;         // its name in the folder
  std::optional<u32> number;  // of an expert, a head or a stream, of which each has one
};

// Rules are words, joined by '+' where one follows the other:
// - stacked: matrices of experts, as one tensor
// - heads: vectors of heads of q or k, as the rows of one tensor
// - streams: matrices of all residual streams but the first, as one tensor
// - padded: rows up to those of the vocabulary, copies of the first one
// - halves: rows of "gate", then as many of "up", of each expert if there are some: two tensors
// - interleaved: rows of "gate" and "up" by turns: two tensors
// - blocks: four-bit floats as bytes, codes and scales apart (names end in .blocks and .scales); may be interleaved
// - ternary: rows of a matrix by quarters in bytes of two bits each, and its scale (names end in .weight_scale)
// - grouped: rows of q, k and v by heads of k and v: those of q first, then of k, then of v
// - split: the same as tensors of their own
// - latent: rows for keys and for values by heads (attn_kv_b): a tensor for each, the first one transposed
// - qkvz: rows of q, k, v and z by heads of k: q, k and v, and z
// - transposed: matrices with inputs for rows
// - transposed_by_turns: the same, of which columns are of "gate" and "up" by turns: two tensors
// - by_inputs: matrices of experts, transposed where they have inputs for rows
// - logs: numbers x that are to be −exp(x)
// - column: a vector as a matrix of one column
// - flat: a dimension of one less
//
// metadata: of the model, for its numbers of heads and experts. What does not fit them is an error.
Result<std::vector<files::TensorInfo>> assemble(std::vector<NamedTensor> tensors, const Family& family,
                                                const files::Metadata& metadata);

}  // namespace pronk::sources
