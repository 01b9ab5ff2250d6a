// safetensors: bytes in, tensor table out; no I/O. Format: the README of github.com/huggingface/safetensors. Eight
// bytes say how long the header is, which is JSON; then comes the data, without holes.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace pronk::files {

constexpr u64 max_safetensors_header = 100'000'000;  // bytes, as in the format's own library
constexpr u32 max_safetensors_rank = 16;

// An element type of the format.
struct Dtype {
  std::string_view name;  // "BF16"
  u32 bits = 0;
  u32 ggml_type = 0;  // the same in GGUF; no_ggml_type: there is none
};
constexpr u32 no_ggml_type = ~u32{0};

struct SafeTensor {
  std::string name;  // any UTF-8, NUL and nothing at all included
  const Dtype* dtype = nullptr;
  std::vector<u64> shape;  // slowest dimension first; empty: one value
  u64 offset = 0;          // of its first byte, from the start of the file
  u64 bytes = 0;
};

struct Safetensors {
  std::vector<SafeTensor> tensors;  // by offset
  u64 data_offset = 0;              // where tensor data starts
  u64 end = 0;                      // first byte after the last tensor: the size of the file
};

struct SafetensorsPrefix {
  std::optional<Safetensors> file;  // when the prefix holds the whole header
  u64 bytes_needed = 0;             // else: call again with so many bytes from the start of the file
};

// Parses the header from the first bytes of a file. With file_size, data that does not end where the file does is an
// error. Nothing is allocated that the prefix does not back. Errors name the tensor, or the byte of the header.
Result<SafetensorsPrefix> parse_safetensors(std::span<const u8> prefix, std::optional<u64> file_size);

}  // namespace pronk::files
