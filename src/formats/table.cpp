#include "files/ggml_types.h"
#include "formats/format.h"

namespace pronk::formats {

// What a codec's file defines; the contracts are those of Format's members.
#define PRONK_CODEC(codec) \
  namespace codec {                                                              \
  void decode(const u8* blocks, u64 count, float* out);                          \
  void encode(const float* weights, u64 count, u8* blocks);                      \
  void repack(const u8* blocks, u64 count, std::span<u8* const> planes);         \
  }
PRONK_CODEC(f32)
PRONK_CODEC(f16)
PRONK_CODEC(bf16)
PRONK_CODEC(q8_0)
PRONK_CODEC(q4_0)
#undef PRONK_CODEC

namespace {

// name, ggml id, weights and bytes of a block, {planes, bytes in each}, fragment, codec
constexpr Format rows[] = {
    {"F32", 0, 1, 4, {1, {4}}, "formats/f32", f32::decode, f32::encode, f32::repack},
    {"F16", 1, 1, 2, {1, {2}}, "formats/f16", f16::decode, f16::encode, f16::repack},
    {"BF16", 30, 1, 2, {1, {2}}, "formats/bf16", bf16::decode, bf16::encode, bf16::repack},
    {"Q8_0", 8, 32, 34, {2, {32, 2}}, "formats/q8_0", q8_0::decode, q8_0::encode, q8_0::repack},
    {"Q4_0", 2, 32, 18, {2, {16, 2}}, "formats/q4_0", q4_0::decode, q4_0::encode, q4_0::repack},
};

}  // namespace

std::span<const Format> table() { return rows; }

const Format* find(u32 ggml_type) {
  for (const Format& format : table()) {
    if (format.ggml_type == ggml_type) return &format;
  }
  return nullptr;
}

const Format* find(std::string_view name) {
  for (const Format& format : table()) {
    if (format.name == name) return &format;
  }
  return nullptr;
}

std::string_view ggml_type_name(u32 ggml_type) {
  const files::GgmlType* type = files::find_ggml_type(ggml_type);
  return type ? type->name : std::string_view{};
}

GpuExtent gpu_extent(const Format& format, u64 rows, u64 row_weights) {
  const u64 blocks = rows * (gpu_row_weights(format, row_weights) / format.block_weights);
  GpuExtent extent;
  for (u32 plane = 0; plane < format.gpu.plane_count; ++plane) {
    extent.plane_offset[plane] = extent.bytes;
    extent.bytes = align_up(extent.bytes + blocks * format.gpu.plane_bytes[plane], 16);
  }
  return extent;
}

}  // namespace pronk::formats
