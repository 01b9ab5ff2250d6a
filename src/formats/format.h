// A weight format is one row of the table, one codec (<name>.cpp) and one WGSL fragment (<name>.wgsl).
// Nothing outside those three names a format.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace pronk::formats {

constexpr u32 max_planes = 4;

// How n consecutive blocks of a row-major matrix are written for the GPU: the parts of a block are dealt out to
// planes, each plane holding that part of every block in order, so that a shader's loads are aligned.
// The planes of a weight lie behind one another, each starting at a multiple of 16 bytes.
struct GpuLayout {
  u32 plane_count = 1;
  std::array<u32, max_planes> plane_bytes{};  // bytes of one block in each plane; they sum up to block_bytes
};

struct Format {
  std::string_view name;  // as GGUF tools print it, in upper case
  u32 ggml_type = 0;      // id in a GGUF tensor entry
  u32 block_weights = 0;  // weights in a block; a row is a whole number of blocks
  u32 block_bytes = 0;    // bytes of a block in the file
  GpuLayout gpu;
  std::string_view wgsl;  // name of the embedded fragment: "formats/" and the name in lower case

  // blocks: count · block_bytes bytes as in the file; out: count · block_weights floats.
  void (*decode)(const u8* blocks, u64 count, float* out) = nullptr;
  // The inverse, by the field's usual rounding; weights are finite. Null when pronk cannot write the format.
  void (*encode)(const float* weights, u64 count, u8* blocks) = nullptr;
  // planes[p] takes count · gpu.plane_bytes[p] bytes.
  void (*repack)(const u8* blocks, u64 count, std::span<u8* const> planes) = nullptr;
  // Words that the fragment looks up as `table[i]`, the CPU as bytes (code books); null: none. Made once, never freed.
  std::span<const u32> (*gpu_table)() = nullptr;
};

// All formats that pronk runs.
std::span<const Format> table();
const Format* find(u32 ggml_type);          // null: not one of ours
const Format* find(std::string_view name);  // exact upper-case name; null: not one of ours
// The name that the field gives a GGML type id, also of types pronk does not run; empty when unknown.
std::string_view ggml_type_name(u32 ggml_type);

// Weights a row takes on the GPU: rows of formats with one-weight blocks are padded with zeros to a multiple of 8.
constexpr u64 gpu_row_weights(const Format& format, u64 row_weights) {
  return format.block_weights == 1 ? align_up(row_weights, 8) : row_weights;
}

// Where each plane of `rows` rows starts, in bytes from the start of the weight, and the bytes in all
// (a multiple of 16).
struct GpuExtent {
  std::array<u64, max_planes> plane_offset{};
  u64 bytes = 0;
};
GpuExtent gpu_extent(const Format& format, u64 rows, u64 row_weights);

}  // namespace pronk::formats
