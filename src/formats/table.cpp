#include "files/ggml_types.h"
#include "formats/format.h"

namespace pronk::formats {

// What a codec's file defines; the contracts are those of Format's members.
#define PRONK_CODEC(codec)                                               \
  namespace codec {                                                      \
  void decode(const u8* blocks, u64 count, float* out);                  \
  void encode(const float* weights, u64 count, u8* blocks);              \
  void repack(const u8* blocks, u64 count, std::span<u8* const> planes); \
  }
PRONK_CODEC(f32)
PRONK_CODEC(f16)
PRONK_CODEC(bf16)
PRONK_CODEC(q8_0)
PRONK_CODEC(q4_0)
PRONK_CODEC(q4_1)
PRONK_CODEC(q5_0)
PRONK_CODEC(q5_1)
PRONK_CODEC(q2_k)
PRONK_CODEC(q3_k)
PRONK_CODEC(q4_k)
PRONK_CODEC(q5_k)
PRONK_CODEC(q6_k)
PRONK_CODEC(iq4_nl)
PRONK_CODEC(mxfp4)
PRONK_CODEC(nvfp4)
PRONK_CODEC(tq1_0)
PRONK_CODEC(tq2_0)
PRONK_CODEC(q1_0)
PRONK_CODEC(q2_0)
#undef PRONK_CODEC

// Those that pronk reads and does not write, and the code books.
#define PRONK_READER(codec)                                              \
  namespace codec {                                                      \
  void decode(const u8* blocks, u64 count, float* out);                  \
  void repack(const u8* blocks, u64 count, std::span<u8* const> planes); \
  }
#define PRONK_BOOK_READER(codec)    \
  PRONK_READER(codec)               \
  namespace codec {                 \
  std::span<const u32> gpu_table(); \
  }
PRONK_READER(iq4_xs)
PRONK_READER(q4_0_bf16)
PRONK_READER(nf4)
PRONK_BOOK_READER(iq1_s)
PRONK_BOOK_READER(iq1_m)
PRONK_BOOK_READER(iq2_xxs)
PRONK_BOOK_READER(iq2_xs)
PRONK_BOOK_READER(iq2_s)
PRONK_BOOK_READER(iq3_xxs)
PRONK_BOOK_READER(iq3_s)
#undef PRONK_READER
#undef PRONK_BOOK_READER

namespace {

// name, ggml id, weights and bytes of a block, {planes, bytes in each}, fragment, codec, code book
// clang-format off: a format is a row.
constexpr Format rows[] = {
    {"F32", 0, 1, 4, {1, {4}}, "formats/f32", f32::decode, f32::encode, f32::repack},
    {"F16", 1, 1, 2, {1, {2}}, "formats/f16", f16::decode, f16::encode, f16::repack},
    {"BF16", 30, 1, 2, {1, {2}}, "formats/bf16", bf16::decode, bf16::encode, bf16::repack},
    {"Q8_0", 8, 32, 34, {2, {32, 2}}, "formats/q8_0", q8_0::decode, q8_0::encode, q8_0::repack},
    {"Q4_0", 2, 32, 18, {2, {16, 2}}, "formats/q4_0", q4_0::decode, q4_0::encode, q4_0::repack},
    {"Q4_0_BF16", files::own_type, 32, 18, {2, {16, 2}}, "formats/q4_0_bf16", q4_0_bf16::decode, nullptr,
     q4_0_bf16::repack},
    {"NF4", files::own_type + 1, 64, 36, {2, {32, 4}}, "formats/nf4", nf4::decode, nullptr, nf4::repack},
    {"Q4_1", 3, 32, 20, {2, {16, 4}}, "formats/q4_1", q4_1::decode, q4_1::encode, q4_1::repack},
    {"Q5_0", 6, 32, 22, {3, {16, 4, 2}}, "formats/q5_0", q5_0::decode, q5_0::encode, q5_0::repack},
    {"Q5_1", 7, 32, 24, {3, {16, 4, 4}}, "formats/q5_1", q5_1::decode, q5_1::encode, q5_1::repack},
    {"Q2_K", 10, 256, 84, {3, {64, 16, 4}}, "formats/q2_k", q2_k::decode, q2_k::encode, q2_k::repack},
    {"Q3_K", 11, 256, 110, {4, {64, 32, 12, 2}}, "formats/q3_k", q3_k::decode, q3_k::encode, q3_k::repack},
    {"Q4_K", 12, 256, 144, {2, {128, 16}}, "formats/q4_k", q4_k::decode, q4_k::encode, q4_k::repack},
    {"Q5_K", 13, 256, 176, {3, {128, 16, 32}}, "formats/q5_k", q5_k::decode, q5_k::encode, q5_k::repack},
    {"Q6_K", 14, 256, 210, {4, {128, 64, 16, 2}}, "formats/q6_k", q6_k::decode, q6_k::encode, q6_k::repack},
    {"IQ4_NL", 20, 32, 18, {2, {16, 2}}, "formats/iq4_nl", iq4_nl::decode, iq4_nl::encode, iq4_nl::repack},
    {"IQ4_XS", 23, 256, 136, {2, {128, 8}}, "formats/iq4_xs", iq4_xs::decode, nullptr, iq4_xs::repack},
    {"MXFP4", 39, 32, 17, {2, {16, 1}}, "formats/mxfp4", mxfp4::decode, mxfp4::encode, mxfp4::repack},
    {"NVFP4", 40, 64, 36, {2, {32, 4}}, "formats/nvfp4", nvfp4::decode, nvfp4::encode, nvfp4::repack},
    {"TQ1_0", 34, 256, 54, {4, {32, 16, 4, 2}}, "formats/tq1_0", tq1_0::decode, tq1_0::encode, tq1_0::repack},
    {"TQ2_0", 35, 256, 66, {2, {64, 2}}, "formats/tq2_0", tq2_0::decode, tq2_0::encode, tq2_0::repack},
    {"Q1_0", 41, 128, 18, {2, {16, 2}}, "formats/q1_0", q1_0::decode, q1_0::encode, q1_0::repack},
    {"Q2_0", 42, 64, 18, {2, {16, 2}}, "formats/q2_0", q2_0::decode, q2_0::encode, q2_0::repack},
    {"IQ1_S", 19, 256, 50, {3, {32, 16, 2}}, "formats/iq1_s", iq1_s::decode, nullptr, iq1_s::repack, iq1_s::gpu_table},
    {"IQ1_M", 29, 256, 56, {3, {32, 16, 8}}, "formats/iq1_m", iq1_m::decode, nullptr, iq1_m::repack, iq1_m::gpu_table},
    {"IQ2_XXS", 16, 256, 66, {2, {64, 2}}, "formats/iq2_xxs", iq2_xxs::decode, nullptr, iq2_xxs::repack,
     iq2_xxs::gpu_table},
    {"IQ2_XS", 17, 256, 74, {3, {64, 8, 2}}, "formats/iq2_xs", iq2_xs::decode, nullptr, iq2_xs::repack,
     iq2_xs::gpu_table},
    {"IQ2_S", 22, 256, 82, {3, {64, 16, 2}}, "formats/iq2_s", iq2_s::decode, nullptr, iq2_s::repack, iq2_s::gpu_table},
    {"IQ3_XXS", 18, 256, 98, {3, {64, 32, 2}}, "formats/iq3_xxs", iq3_xxs::decode, nullptr, iq3_xxs::repack,
     iq3_xxs::gpu_table},
    {"IQ3_S", 21, 256, 110, {4, {64, 32, 12, 2}}, "formats/iq3_s", iq3_s::decode, nullptr, iq3_s::repack,
     iq3_s::gpu_table},
};
// clang-format on

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
