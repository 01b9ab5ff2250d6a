// Formats whose codes stand for uneven values, trits or points of a code book: what they decode to, and their encoders.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/code_books.h"
#include "formats/format.h"

namespace pronk::formats {
namespace {

std::vector<float> decode(const Format& format, const std::vector<u8>& blocks) {
  const u64 count = blocks.size() / format.block_bytes;
  std::vector<float> out(count * format.block_weights);
  format.decode(blocks.data(), count, out.data());
  return out;
}

std::vector<u8> encode(const char* name, const std::vector<float>& weights) {
  const Format& format = *find(name);
  std::vector<u8> blocks(weights.size() / format.block_weights * format.block_bytes);
  format.encode(weights.data(), weights.size() / format.block_weights, blocks.data());
  return blocks;
}

std::vector<float> there_and_back(const char* name, const std::vector<float>& weights) {
  return decode(*find(name), encode(name, weights));
}

// Normal, by Box and Muller.
std::vector<float> noise(u64 count) {
  u64 state = 1;
  const auto uniform = [&] {
    state = state * 6364136223846793005 + 1442695040888963407;
    return (double(state >> 40) + 0.5) * 0x1p-24;
  };
  std::vector<float> out(count);
  for (float& value : out) {
    const double size = std::sqrt(-2 * std::log(uniform()));
    value = float(0.02 * size * std::cos(6.283185307179586 * uniform()));
  }
  return out;
}

double relative_rms(const char* name, const std::vector<float>& weights) {
  const std::vector<float> back = there_and_back(name, weights);
  double error = 0, size = 0;
  for (u64 i = 0; i < weights.size(); ++i) {
    error += std::pow(double(back[i]) - weights[i], 2);
    size += std::pow(double(weights[i]), 2);
  }
  return std::sqrt(error / size);
}

// FNV-1a over the bits of what 256 blocks of a generator's bytes decode to; -0 counts as 0, and all that is not finite
// is one. Each number was taken when the codec agreed with the reference vectors bit for bit.
TEST(CodeFormats, DecodeAsWhenTheyAgreedWithTheReference) {
  const struct {
    const char* name;
    u64 hash;
  } known[] = {
      {"IQ4_NL", 17384850071727304447u}, {"IQ4_XS", 7369421018263535472u},  {"MXFP4", 1143918860324917832u},
      {"NVFP4", 13355982414788927032u},  {"TQ1_0", 10843657053267676969u},  {"TQ2_0", 6915496542645663738u},
      {"Q1_0", 1913034182651889701u},    {"Q2_0", 6758797529751394094u},    {"IQ1_S", 15376553594107916724u},
      {"IQ1_M", 13706917826164710345u},  {"IQ2_XXS", 5135139285020171952u}, {"IQ2_XS", 8974704303625198066u},
      {"IQ2_S", 3297338521883091752u},   {"IQ3_XXS", 9148269198929396209u}, {"IQ3_S", 1998143462041108947u},
  };
  for (const auto& [name, expected] : known) {
    const Format& format = *find(name);
    std::vector<u8> blocks(256 * format.block_bytes);
    u64 state = 1;
    for (u8& byte : blocks) {
      state = state * 6364136223846793005 + 1442695040888963407;
      byte = u8(state >> 56);
    }
    u64 hash = 14695981039346656037u;
    for (const float weight : decode(format, blocks)) {
      const u32 bits = weight == 0 ? 0 : std::isfinite(weight) ? std::bit_cast<u32>(weight) : ~0u;
      for (u32 i = 0; i < 4; ++i) hash = (hash ^ (bits >> 8 * i & 255)) * 1099511628211;
    }
    EXPECT_EQ(hash, expected) << name;
  }
}

TEST(CodeFormats, BooksHaveDistinctPointsOfTheirLevels) {
  const struct {
    std::span<const u32> words;
    u32 points, bits, levels;
  } books[] = {{eights_256(), 256, 2, 3},   {eights_512(), 512, 2, 3}, {eights_1024(), 1024, 2, 3},
               {eights_2048(), 2048, 2, 3}, {fours_256(), 256, 4, 8},  {fours_512(), 512, 4, 8}};
  for (const auto& book : books) {
    ASSERT_EQ(book.words.size() * 2, book.points);
    std::set<u32> seen;
    for (u32 i = 0; i < book.points; ++i) {
      const u32 point = book_point(book.words, i);
      EXPECT_TRUE(seen.insert(point).second);
      for (u32 at = 0; at < 16; at += book.bits) EXPECT_LT(point >> at & ((1u << book.bits) - 1), book.levels);
    }
  }
  for (u32 seven = 0; seven < 128; ++seven) {
    EXPECT_EQ(eight_signs(seven) & 127, seven);
    EXPECT_EQ(std::popcount(eight_signs(seven)) % 2, 0);
  }
}

TEST(CodeFormats, ValuesOfFourBits) {
  const std::vector<float> uneven{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  const std::vector<float> e2m1{0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6};
  std::vector<u8> codes(16);
  for (u32 j = 0; j < 16; ++j) codes[j] = u8(j | (15 - j) << 4);
  const auto block = [&](std::vector<u8> head) {
    head.insert(head.end(), codes.begin(), codes.end());
    return head;
  };
  const auto nl = decode(*find("IQ4_NL"), block({0x00, 0x3c}));  // d = 1
  const auto mx = decode(*find("MXFP4"), block({128}));          // 2
  for (u32 j = 0; j < 16; ++j) {
    EXPECT_EQ(nl[j], uneven[j]);
    EXPECT_EQ(nl[16 + j], uneven[15 - j]);
    EXPECT_EQ(mx[j], 2 * e2m1[j]);
    EXPECT_EQ(mx[16 + j], 2 * e2m1[15 - j]);
  }
}

TEST(CodeFormats, ScalesOfNvfp4) {
  std::vector<u8> block(36, 0x22);  // every weight 1
  const u8 scales[] = {0x38, 0x7e, 0x01, 0x7f};
  std::copy_n(scales, 4, block.begin());
  const auto weights = decode(*find("NVFP4"), block);
  EXPECT_EQ(weights[0], 1);
  EXPECT_EQ(weights[16], 448);
  EXPECT_EQ(weights[32], 0x1p-9f);
  EXPECT_EQ(weights[48], 0);
}

TEST(CodeFormats, EncodersKeepWhatTheyCanSay) {
  const float uneven[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  const float e2m1[] = {0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6};
  std::vector<float> nl(64), fp4(256), trits(512), signs(256), two(128);
  for (u32 i = 0; i < nl.size(); ++i) nl[i] = 0.0625f * uneven[(i * 7 + i / 16) % 16];
  for (u32 i = 0; i < fp4.size(); ++i) fp4[i] = 0.25f * e2m1[(i * 7 + i / 16) % 16];
  for (u32 i = 0; i < trits.size(); ++i) trits[i] = 0.75f * float(int(i * 5 + i / 7) % 3 - 1);
  for (u32 i = 0; i < signs.size(); ++i) signs[i] = i * 5 % 7 < 3 ? 0.125f : -0.125f;
  for (u32 i = 0; i < two.size(); ++i) two[i] = 0.5f * float(int(i * 5 + i / 7) % 3 - 1);
  EXPECT_EQ(there_and_back("IQ4_NL", nl), nl);
  EXPECT_EQ(there_and_back("MXFP4", fp4), fp4);
  EXPECT_EQ(there_and_back("NVFP4", fp4), fp4);
  EXPECT_EQ(there_and_back("TQ1_0", trits), trits);
  EXPECT_EQ(there_and_back("TQ2_0", trits), trits);
  EXPECT_EQ(there_and_back("Q1_0", signs), signs);
  EXPECT_EQ(there_and_back("Q2_0", two), two);
}

// Mxfp4's scale leaves weights up to 8 where 6 is the largest; they are cut.
TEST(CodeFormats, EncodesMxfp4ByTheSpecification) {
  std::vector<float> weights(32, 0);
  weights[0] = 7.9f;
  weights[1] = -5.1f;  // nearer to 6 than to 4
  weights[2] = 0.24f;
  weights[3] = 0.26f;
  weights[16] = -1.2f;
  const std::vector<u8> block = encode("MXFP4", weights);
  EXPECT_EQ(block[0], 127);
  EXPECT_EQ(block[1], 0x7 | 0xa << 4);
  EXPECT_EQ(block[2], 0xf);
  EXPECT_EQ(block[3], 0x0);
  EXPECT_EQ(block[4], 0x1);
}

// ggml's own writers (d99724f of its repository) leave these errors on the same weights.
TEST(CodeFormats, EncodersAreAsGoodAsTheField) {
  const std::vector<float> weights = noise(256 * 64);
  EXPECT_LE(relative_rms("IQ4_NL", weights), 0.07835);
  EXPECT_LE(relative_rms("MXFP4", weights), 0.11353);
  EXPECT_LE(relative_rms("NVFP4", weights), 0.10303);
}

}  // namespace
}  // namespace pronk::formats
