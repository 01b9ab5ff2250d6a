#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/half.h"
#include "files/ggml_types.h"
#include "formats/format.h"
#include "support/files.h"

namespace pronk::formats {
namespace {

std::vector<float> noise(u64 count, float scale = 1) {
  u32 state = 12345;
  std::vector<float> out(count);
  for (float& value : out) {
    state = state * 1664525 + 1013904223;
    value = (float(state >> 8) * 0x1p-23f - 1) * scale;
  }
  return out;
}

std::vector<u8> encode(const Format& format, const std::vector<float>& weights) {
  const u64 blocks = weights.size() / format.block_weights;
  std::vector<u8> out(blocks * format.block_bytes);
  format.encode(weights.data(), blocks, out.data());
  return out;
}

std::vector<float> decode(const Format& format, const std::vector<u8>& bytes) {
  const u64 blocks = bytes.size() / format.block_bytes;
  std::vector<float> out(blocks * format.block_weights);
  format.decode(bytes.data(), blocks, out.data());
  return out;
}

TEST(Formats, TableAgreesWithGgml) {
  std::set<std::string_view> names;
  for (const Format& format : table()) {
    const files::GgmlType* type = files::find_ggml_type(format.ggml_type);
    ASSERT_NE(type, nullptr);
    EXPECT_EQ(type->name, format.name);
    EXPECT_EQ(type->block_weights, format.block_weights);
    EXPECT_EQ(type->block_bytes, format.block_bytes);
    u32 plane_bytes = 0;
    for (u32 plane = 0; plane < format.gpu.plane_count; ++plane) plane_bytes += format.gpu.plane_bytes[plane];
    EXPECT_EQ(plane_bytes, format.block_bytes);
    EXPECT_EQ(find(format.name), &format);
    EXPECT_EQ(find(format.ggml_type), &format);
    EXPECT_TRUE(names.insert(format.name).second);
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"F32", "F16", "BF16", "Q8_0", "Q4_0"}));
  EXPECT_EQ(find("Q4_K"), nullptr);
  EXPECT_EQ(find(12u), nullptr);
  EXPECT_EQ(ggml_type_name(12), "Q4_K");
  EXPECT_EQ(ggml_type_name(1000), "");
}

TEST(Formats, GpuExtent) {
  const GpuExtent f32 = gpu_extent(*find("F32"), 3, 5);  // rows padded to 8 weights
  EXPECT_EQ(f32.bytes, 3u * 8 * 4);
  const GpuExtent f16 = gpu_extent(*find("F16"), 1, 9);
  EXPECT_EQ(f16.bytes, 32u);
  const GpuExtent q4 = gpu_extent(*find("Q4_0"), 3, 96);  // 9 blocks
  EXPECT_EQ(q4.plane_offset[0], 0u);
  EXPECT_EQ(q4.plane_offset[1], 144u);
  EXPECT_EQ(q4.bytes, 176u);  // 144 + 18, rounded up to 16
  const GpuExtent q8 = gpu_extent(*find("Q8_0"), 1, 32);
  EXPECT_EQ(q8.plane_offset[1], 32u);
  EXPECT_EQ(q8.bytes, 48u);
  const GpuExtent huge = gpu_extent(*find("Q8_0"), 1u << 20, 1u << 20);  // beyond 4 GiB
  EXPECT_EQ(huge.plane_offset[1], u64{1} << 40);
  EXPECT_EQ(huge.bytes, (u64{1} << 40) + (u64{1} << 36));
}

TEST(Formats, DecodesByHand) {
  std::vector<u8> q8(34);
  q8[1] = 0x38;  // f16 0.5
  for (u32 i = 0; i < 32; ++i) q8[2 + i] = u8(i8(i * 8 - 128));
  const std::vector<float> from_q8 = decode(*find("Q8_0"), q8);
  for (u32 i = 0; i < 32; ++i) EXPECT_EQ(from_q8[i], 0.5f * float(int(i) * 8 - 128));

  std::vector<u8> q4(18);
  q4[1] = 0xc0;  // f16 −2
  for (u32 j = 0; j < 16; ++j) q4[2 + j] = u8(j | (15 - j) << 4);
  const std::vector<float> from_q4 = decode(*find("Q4_0"), q4);
  for (u32 j = 0; j < 16; ++j) {
    EXPECT_EQ(from_q4[j], -2 * (float(j) - 8));
    EXPECT_EQ(from_q4[16 + j], -2 * (float(15 - j) - 8));
  }

  EXPECT_EQ(decode(*find("F16"), {0x00, 0x3c, 0x01, 0x80}), (std::vector<float>{1, -0x1p-24f}));
  EXPECT_EQ(decode(*find("BF16"), {0x80, 0x3f, 0x20, 0xc1}), (std::vector<float>{1, -10}));
}

TEST(Formats, EncodesByHand) {
  std::vector<float> weights(32, 0);
  weights[0] = -127;
  weights[1] = 2.5f;  // a tie goes away from zero
  weights[2] = -3.4f;
  const std::vector<u8> q8 = encode(*find("Q8_0"), weights);
  EXPECT_EQ(load_le<u16>(q8.data()), f32_to_f16(1));
  EXPECT_EQ(i8(q8[2]), -127);
  EXPECT_EQ(i8(q8[3]), 3);
  EXPECT_EQ(i8(q8[4]), -3);

  weights.assign(32, 0);
  weights[3] = 8;  // positive and largest: d = −1, quant 0
  weights[20] = -8;
  weights[21] = -6.4f;
  const std::vector<u8> q4 = encode(*find("Q4_0"), weights);
  EXPECT_EQ(load_le<u16>(q4.data()), f32_to_f16(-1));
  EXPECT_EQ(q4[2 + 3], 0x80);
  EXPECT_EQ(q4[2 + 4], 0xf8);   // 16 is cut to 15
  EXPECT_EQ(q4[2 + 5], 0xe8);
  EXPECT_EQ(q4[2 + 0], 0x88);
}

TEST(Formats, EncodeThenDecodeStaysWithinHalfAStep) {
  const std::vector<float> weights = noise(32 * 64, 0.3f);
  for (const Format& format : table()) {
    const std::vector<float> back = decode(format, encode(format, weights));
    for (u64 first = 0; first < weights.size(); first += 32) {
      float largest = 0;
      for (u64 i = first; i < first + 32; ++i) largest = std::max(largest, std::fabs(weights[i]));
      for (u64 i = first; i < first + 32; ++i) {
        const double error = std::fabs(double(back[i]) - weights[i]);
        const double f16_scale = largest * 0x1p-11;  // the stored scale's own rounding, at the largest quant
        if (format.name == "F32") EXPECT_EQ(error, 0);
        if (format.name == "F16") EXPECT_LE(error, std::fabs(weights[i]) * 0x1p-11);
        if (format.name == "BF16") EXPECT_LE(error, std::fabs(weights[i]) * 0x1p-8);
        if (format.name == "Q8_0") EXPECT_LE(error, largest / 127 * 0.5001 + f16_scale);
        if (format.name == "Q4_0") EXPECT_LE(error, largest / 8 * 1.0001 + f16_scale);  // +8 is cut to +7
      }
    }
  }
}

TEST(Formats, EncodesZerosAndTinyWeights) {
  for (float tiny : {0.f, 1e-40f, -1e-40f, 1e-30f}) {
    for (const Format& format : table()) {
      if (format.block_weights == 1) continue;
      for (float value : decode(format, encode(format, std::vector<float>(32, tiny)))) EXPECT_EQ(value, 0);
    }
  }
}

// A weight read as a shader reads it, by the layout that format.h and the codecs promise.
float weight_from_planes(const Format& format, const std::vector<u8>& gpu, const GpuExtent& extent, u64 index) {
  const u8* plane = gpu.data();
  if (format.name == "F32") return load_le<float>(plane + 4 * index);
  if (format.name == "F16") return f16_to_f32(load_le<u16>(plane + 2 * index));
  if (format.name == "BF16") return bf16_to_f32(load_le<u16>(plane + 2 * index));
  const u64 block = index / 32, i = index % 32;
  const float d = f16_to_f32(load_le<u16>(plane + extent.plane_offset[1] + 2 * block));
  if (format.name == "Q8_0") return d * float(i8(plane[32 * block + i]));
  const u32 word = load_le<u32>(plane + 16 * block + i / 8 * 4);
  const u32 shift = i % 8 < 4 ? 8 * (i % 8) : 8 * (i % 8 - 4) + 4;
  return d * float(int(word >> shift & 15) - 8);
}

TEST(Formats, RepackKeepsEveryWeight) {
  constexpr u64 rows = 3, row_weights = 96;
  const std::vector<float> weights = noise(rows * row_weights);
  for (const Format& format : table()) {
    const std::vector<u8> blocks = encode(format, weights);
    const GpuExtent extent = gpu_extent(format, rows, row_weights);
    std::vector<u8> gpu(extent.bytes, 0xee);
    std::vector<u8*> planes;
    for (u32 plane = 0; plane < format.gpu.plane_count; ++plane) {
      planes.push_back(gpu.data() + extent.plane_offset[plane]);
    }
    const u64 count = rows * row_weights / format.block_weights;
    const u64 first = count / 3;  // in two parts, as a loader may
    format.repack(blocks.data(), first, planes);
    for (u32 plane = 0; plane < planes.size(); ++plane) planes[plane] += first * format.gpu.plane_bytes[plane];
    format.repack(blocks.data() + first * format.block_bytes, count - first, planes);
    const std::vector<float> expected = decode(format, blocks);
    for (u64 i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(weight_from_planes(format, gpu, extent, i), expected[i]) << format.name << " " << i;
    }
  }
}

TEST(Formats, DecodesReferenceVectorsBitForBit) {
  u32 found = 0;
  for (const Format& format : table()) {
    const std::string stem = test::shared_path("vectors/dequant/" + std::string(format.name));
    const auto blocks = test::read_file(stem + ".blocks.bin");
    const auto expected = test::read_file(stem + ".f32.bin");
    if (!blocks || !expected) continue;
    ++found;
    const std::vector<float> decoded = decode(format, *blocks);
    ASSERT_EQ(decoded.size() * sizeof(float), expected->size()) << format.name;
    for (u64 i = 0; i < decoded.size(); ++i) {
      const float value = load_le<float>(expected->data() + 4 * i);
      ASSERT_TRUE(std::bit_cast<u32>(decoded[i]) == std::bit_cast<u32>(value) || (value == 0 && decoded[i] == 0))
          << format.name << " " << i << ": " << decoded[i] << " is not " << value;
    }
  }
  if (found == 0) GTEST_SKIP() << "../shared/vectors/dequant is not on this machine";
  EXPECT_EQ(found, 4u);  // F32 has none: it is its own reference
}

}  // namespace
}  // namespace pronk::formats
