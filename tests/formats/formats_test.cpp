#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/half.h"
#include "files/ggml_types.h"
#include "formats/format.h"
#include "support/files.h"
#include "support/random_blocks.h"

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
  EXPECT_EQ(names,
            (std::set<std::string_view>{"F32",   "F16",     "BF16",   "Q8_0",  "Q4_0",      "Q4_1",  "Q5_0",   "Q5_1",
                                        "Q2_K",  "Q3_K",    "Q4_K",   "Q5_K",  "Q6_K",      "Q1_0",  "Q2_0",   "IQ1_S",
                                        "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS",   "IQ3_S", "IQ4_NL", "IQ4_XS",
                                        "TQ1_0", "TQ2_0",   "MXFP4",  "NVFP4", "Q4_0_BF16", "NF4"}));
  EXPECT_EQ(find("Q8_1"), nullptr);  // for activations only
  EXPECT_EQ(find(9u), nullptr);
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

  std::vector<u8> nf4(36);
  nf4[3] = 0xc0;  // f32 −2
  nf4[4] = 0x0f, nf4[35] = 0x78;
  const std::vector<float> from_nf4 = decode(*find("NF4"), nf4);
  EXPECT_EQ((std::vector<float>{from_nf4[0], from_nf4[1], from_nf4[2], from_nf4[62]}),
            (std::vector<float>{2, -2, 2, 0}));
  EXPECT_EQ(from_nf4[63], -2 * std::bit_cast<float>(0x3da2faffu));

  EXPECT_EQ(decode(*find("F16"), {0x00, 0x3c, 0x01, 0x80}), (std::vector<float>{1, -0x1p-24f}));
  EXPECT_EQ(decode(*find("BF16"), {0x80, 0x3f, 0x20, 0xc1}), (std::vector<float>{1, -10}));
}

// `count` bits from bit 8 · byte + `bit` of a block.
u32 bits(const u8* block, u32 byte, u32 bit, u32 count) {
  return block[byte + bit / 8] >> bit % 8 & ((1u << count) - 1);
}
double half(const u8* block, u32 byte) { return f16_to_f32(load_le<u16>(block + byte)); }

// Scale and offset of group g in the 12 bytes from byte 4 of two formats' blocks.
std::pair<double, double> six_bits(const u8* b, u32 g) {
  if (g < 4) return {bits(b, 4 + g, 0, 6), bits(b, 8 + g, 0, 6)};
  return {bits(b, 8 + g, 0, 4) + 16 * bits(b, g, 6, 2), bits(b, 8 + g, 4, 4) + 16 * bits(b, 4 + g, 6, 2)};
}

// Weight i of a block, told from the layout one weight at a time.
double weight_from_block(std::string_view name, const u8* b, u32 i) {
  if (name == "Q4_1") return half(b, 0) * bits(b, 4 + i % 16, i / 16 * 4, 4) + half(b, 2);
  if (name == "Q5_0") return half(b, 0) * (int(bits(b, 6 + i % 16, i / 16 * 4, 4) + 16 * bits(b, 2, i, 1)) - 16);
  if (name == "Q5_1") return half(b, 0) * (bits(b, 8 + i % 16, i / 16 * 4, 4) + 16 * bits(b, 4, i, 1)) + half(b, 2);
  const u32 group = i / 16, byte = i / 128 * 32 + i % 32, pair = i / 32 % 4 * 2;  // of formats with two bits in a byte
  if (name == "Q2_K") {
    return half(b, 80) * bits(b, group, 0, 4) * bits(b, 16 + byte, pair, 2) - half(b, 82) * bits(b, group, 4, 4);
  }
  if (name == "Q3_K") {
    const u32 scale = bits(b, 96 + group % 8, group / 8 * 4, 4) + 16 * bits(b, 104 + group % 4, group / 4 * 2, 2);
    return half(b, 108) * (int(scale) - 32) * (int(bits(b, 32 + byte, pair, 2) + 4 * bits(b, i % 32, i / 32, 1)) - 4);
  }
  if (name == "Q6_K") {
    const u32 low = bits(b, i / 128 * 64 + i % 64, i / 64 % 2 * 4, 4);
    return half(b, 208) * i8(b[192 + group]) * (int(low + 16 * bits(b, 128 + byte, pair, 2)) - 32);
  }
  const auto [scale, offset] = six_bits(b, i / 32);
  const u32 nibble_byte = i / 64 * 32 + i % 32, nibble_bit = i / 32 % 2 * 4;
  const u32 quant = name == "Q4_K" ? bits(b, 16 + nibble_byte, nibble_bit, 4)
                                   : bits(b, 48 + nibble_byte, nibble_bit, 4) + 16 * bits(b, 16 + i % 32, i / 32, 1);
  return half(b, 0) * scale * quant - half(b, 2) * offset;
}

TEST(Formats, DecodesEveryWeightOfTheLayout) {
  for (const char* name : {"Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"}) {
    const Format& format = *find(name);
    const std::vector<u8> blocks = test::random_blocks(format, 40, 9);
    const std::vector<float> decoded = decode(format, blocks);
    for (u64 i = 0; i < decoded.size(); ++i) {
      const u8* block = &blocks[i / format.block_weights * format.block_bytes];
      const float* first = &decoded[i / format.block_weights * format.block_weights];
      double largest = 0;
      for (u32 k = 0; k < format.block_weights; ++k) largest = std::max(largest, std::fabs(double(first[k])));
      const double expected = weight_from_block(name, block, u32(i % format.block_weights));
      ASSERT_NEAR(decoded[i], expected, 1e-6 * largest) << name << " " << i;
    }
  }
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
  EXPECT_EQ(q4[2 + 4], 0xf8);  // 16 is cut to 15
  EXPECT_EQ(q4[2 + 5], 0xe8);
  EXPECT_EQ(q4[2 + 0], 0x88);
}

// Encoders that spread a block's range evenly.
TEST(Formats, EncodeThenDecodeStaysWithinHalfAStep) {
  const std::vector<float> weights = noise(32 * 64, 0.3f);
  for (const Format& format : table()) {
    if (!format.encode) continue;
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
        if (format.name == "Q5_0") EXPECT_LE(error, largest / 16 * 1.0001 + f16_scale);
        if (format.name == "Q4_1") EXPECT_LE(error, largest / 15 * 1.0001 + 2 * f16_scale);
        if (format.name == "Q5_1") EXPECT_LE(error, largest / 31 * 1.0001 + 2 * f16_scale);
      }
    }
  }
}

std::vector<float> gaussian(u64 count, u32 seed) {
  std::mt19937 random(seed);
  std::vector<float> out(count);
  for (float& value : out) {
    double sum = 0;
    for (u32 i = 0; i < 12; ++i) sum += double(random()) * 0x1p-32;
    value = float(sum - 6) * 0.02f;
  }
  return out;
}

// Of all weights; each counts as |w| to the power of `emphasis`.
double relative_error(const Format& format, const std::vector<float>& weights, double emphasis = 0) {
  const std::vector<float> back = decode(format, encode(format, weights));
  double error = 0, size = 0;
  for (u64 i = 0; i < weights.size(); ++i) {
    const double importance = std::pow(std::fabs(double(weights[i])), emphasis);
    error += importance * (double(back[i]) - weights[i]) * (double(back[i]) - weights[i]);
    size += importance * double(weights[i]) * weights[i];
  }
  return std::sqrt(error / size);
}

// Nearly normal weights. An encoder that maps each group's range straight to its quants exceeds one of the bounds.
TEST(Formats, EncodersFindGoodScales) {
  const struct {
    const char* name;
    double plain, emphasized;
  } bounds[] = {{"Q2_K", 0.298, 0.152},
                {"Q3_K", 0.153, 0.0765},
                {"Q4_K", 0.0716, 0.0393},
                {"Q5_K", 0.0362, 0.0204},
                {"Q6_K", 0.0177, 0.0089}};
  const std::vector<float> weights = gaussian(256 * 256, 7);
  for (const auto& bound : bounds) {
    EXPECT_LE(relative_error(*find(bound.name), weights), bound.plain) << bound.name;
    EXPECT_LE(relative_error(*find(bound.name), weights, 2), bound.emphasized) << bound.name;
  }
}

// Weights that a format can say exactly come back: encode() finds the grid that decode() spans.
TEST(Formats, EncodersKeepWeightsOnTheirGrid) {
  for (const char* name : {"Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"}) {
    const Format& format = *find(name);
    const u32 levels = format.name[1] == '4' ? 16 : format.name[1] == '5' ? 32 : 64;
    const bool symmetric = format.name == "Q5_0" || format.name == "Q6_K";
    std::vector<float> weights(1024);
    for (u32 i = 0; i < weights.size(); ++i) {  // each group of 16 or 32 touches both ends
      const u32 level = i % 16 == 0 ? 0 : i % 16 == 1 ? levels - 1 : (i * 7 + i / 16) % levels;
      weights[i] = 0.0078125f * (float(level) - (symmetric ? float(levels) / 2 : float(levels) / 4));
    }
    const std::vector<float> back = decode(format, encode(format, weights));
    for (u32 i = 0; i < weights.size(); ++i) EXPECT_NEAR(back[i], weights[i], 0.0078125 * 0.02) << name << " " << i;
  }
}

TEST(Formats, EncodersTakeExtremes) {
  for (const Format& format : table()) {
    if (!format.encode || format.block_weights == 1) continue;
    for (float huge : {3e38f, -3e38f}) {  // no trap; the scale is out of f16's range
      std::vector<float> weights(256, 0.5f);
      weights[17] = huge;
      encode(format, weights);
    }
    for (float same : {0.5f, -0.5f}) {
      const std::vector<float> weights(256, same);
      EXPECT_LE(relative_error(format, weights), 0.35) << format.name << " " << same;
    }
  }
}

TEST(Formats, EncodesZerosAndTinyWeights) {
  for (float tiny : {0.f, 1e-40f, -1e-40f, 1e-30f}) {
    for (const Format& format : table()) {
      if (!format.encode || format.block_weights == 1) continue;
      for (float value : decode(format, encode(format, std::vector<float>(256, tiny)))) {
        EXPECT_LE(std::fabs(value), 2 * std::fabs(tiny)) << format.name;  // 0 where scales are f16
      }
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
  for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q4_0"}) {
    const Format& format = *find(name);
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

// All planes of a format, behind one another.
std::vector<u8> repack(const Format& format, const std::vector<u8>& blocks, u64 at_once) {
  const u64 count = blocks.size() / format.block_bytes;
  std::vector<u8> out(blocks.size());
  for (u64 first = 0; first < count; first += at_once) {
    std::vector<u8*> planes;
    u64 start = 0;
    for (u32 plane = 0; plane < format.gpu.plane_count; ++plane) {
      planes.push_back(out.data() + start + first * format.gpu.plane_bytes[plane]);
      start += count * format.gpu.plane_bytes[plane];
    }
    format.repack(blocks.data() + first * format.block_bytes, std::min(at_once, count - first), planes);
  }
  return out;
}

// Repacking only moves the bits of a block: each has one place of its own, and blocks do not touch each other.
// Where it puts them is for gpu_formats_test to see. Bytes that are numbers to base 3 are made anew: see the test
// below.
TEST(Formats, RepackMovesBits) {
  constexpr u32 count = 5, block = 2;
  for (const Format& format : table()) {
    if (format.name == "TQ1_0") continue;
    std::vector<u8> blocks = test::random_blocks(format, count, 3);
    const std::vector<u8> before = repack(format, blocks, count);
    EXPECT_EQ(repack(format, blocks, 2), before) << format.name;  // in parts, as a loader may
    std::set<u64> moved;
    for (u32 bit = 0; bit < 8 * format.block_bytes; ++bit) {
      u8& byte = blocks[block * format.block_bytes + bit / 8];
      byte ^= u8(1 << bit % 8);
      const std::vector<u8> after = repack(format, blocks, count);
      byte ^= u8(1 << bit % 8);
      u32 changes = 0;
      for (u64 i = 0; i < after.size(); ++i) {
        for (u32 difference = after[i] ^ before[i]; difference; difference &= difference - 1) {
          moved.insert(8 * i + u32(std::countr_zero(difference)));
          ++changes;
        }
      }
      ASSERT_EQ(changes, 1u) << format.name << " bit " << bit;
    }
    EXPECT_EQ(moved.size(), 8 * format.block_bytes) << format.name;
  }
}

// The layout of its planes as the codec describes it, from bytes that are no rounded fractions too.
TEST(Formats, RepackKeepsEveryTernaryWeight) {
  constexpr u32 count = 40;
  const Format& format = *find("TQ1_0");
  std::vector<u8> blocks = test::random_blocks(format, count, 3);
  for (u32 b = 0; b < count; ++b) store_le<u16>(&blocks[b * format.block_bytes + 52], 0x3c00);  // d = 1
  std::vector<float> weights(count * format.block_weights);
  format.decode(blocks.data(), count, weights.data());
  const std::vector<u8> planes = repack(format, blocks, count);
  EXPECT_EQ(repack(format, blocks, 7), planes);  // in parts, as a loader may
  const formats::GpuExtent extent = formats::gpu_extent(format, count, format.block_weights);
  const auto plane = [&](u32 p) { return &planes[extent.plane_offset[p]]; };
  const auto trit = [](u32 byte, u32 n) {
    for (u32 i = 0; i < n; ++i) byte = byte * 3 & 255;
    return int(byte * 3 >> 8) - 1;
  };
  for (u32 i = 0; i < weights.size(); ++i) {
    const u32 group = i / 32, w = i % 32, j = w % 4 / 2, m = (w - 20) / 4 * 2 + w % 2;
    int value = 0;
    if (w < 20) {
      value = trit(plane(0)[4 * group + w % 4], w / 4);
    } else if (m < 5) {
      value = trit(plane(1)[2 * group + j], m);
    } else {
      value = int(plane(2)[group / 2] >> (group % 2 * 4 + 2 * j) & 3) - 1;
    }
    ASSERT_EQ(float(value), weights[i]) << i;
  }
  for (u32 b = 0; b < count; ++b) EXPECT_EQ(load_le<u16>(plane(3) + 2 * b), 0x3c00);
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
  // F32 has none: it is its own reference; nor have Q4_0_BF16 and NF4, which tests/sources compares with what others
  // store.
  EXPECT_EQ(found, table().size() - 3);
}

// A format is a row of the table and two files; nothing else in the sources names one. (F32, F16 and BF16 are also
// number types; readers of files and of config.json know the names of types.)
TEST(Formats, NothingElseNamesAFormat) {
  namespace fs = std::filesystem;
  std::vector<std::pair<std::string, std::string>> files;  // path below src/, lower-case text
  const fs::path src = fs::path(PRONK_SOURCE_DIR) / "src";
  for (const auto& entry : fs::recursive_directory_iterator(src)) {
    const std::string path = entry.path().lexically_relative(src).generic_string();
    if (!entry.is_regular_file() || path == "formats/table.cpp" || path.starts_with("files/ggml_types.") ||
        path.starts_with("sources/families/"))
      continue;
    const auto bytes = test::read_file(entry.path().string());
    ASSERT_TRUE(bytes) << path;
    std::string text(bytes->begin(), bytes->end());
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    files.emplace_back(path, std::move(text));
  }
  EXPECT_GT(files.size(), 100u);
  const auto in_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (const Format& format : table()) {
    if (format.block_weights == 1) continue;
    const std::string name(format.wgsl.substr(format.wgsl.find('/') + 1));
    for (const auto& [path, text] : files) {
      if (path.starts_with("formats/" + name + ".")) continue;
      for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
        const std::size_t end = at + name.size();
        const bool whole = (at == 0 || !in_word(text[at - 1])) && (end == text.size() || !in_word(text[end]));
        EXPECT_FALSE(whole) << "src/" << path << " names " << format.name;
      }
    }
  }
}

}  // namespace
}  // namespace pronk::formats
