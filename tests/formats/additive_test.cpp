#include "formats/additive.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "base/half.h"
#include "cpu/kernels.h"
#include "files/safetensors.h"
#include "support/additive.h"
#include "support/files.h"

namespace pronk::formats {
namespace {

using test::Additive;
using test::random_matrix;

TEST(Additive, IsFoundByItsCodesAndGroups) {
  for (const u32 books : {1u, 2u, 4u, 8u}) {
    for (const u32 group : {8u, 16u, 32u}) {
      for (const u32 type : {24u, 25u}) {
        const Format* format = find_additive(type, books, group);
        ASSERT_NE(format, nullptr);
        EXPECT_EQ(format->block_weights, group);
        EXPECT_EQ(additive_books(*format), books);
        EXPECT_EQ(additive_code_bits(*format), type == 24 ? 8u : 16u);
        EXPECT_EQ(format->block_bytes, books * additive_code_bits(*format) / 8);
      }
    }
  }
  EXPECT_EQ(find_additive(24, 3, 8), nullptr);
  EXPECT_EQ(find_additive(24, 0, 8), nullptr);
  EXPECT_EQ(find_additive(24, u64{1} << 32 | 1, 8), nullptr);
  EXPECT_EQ(find_additive(24, 1, 7), nullptr);
  EXPECT_EQ(find_additive(1, 1, 8), nullptr);
}

// Rows longer than what is decoded at a time, codes beyond the entries, rows from the middle on.
TEST(Additive, IsTheSumOfItsVectors) {
  const struct {
    u32 type, books, group, entries;
  } kinds[] = {{24, 2, 8, 256}, {25, 1, 8, 65536}, {25, 1, 8, 4096}, {25, 1, 16, 65536},
               {24, 1, 8, 2},   {24, 8, 32, 256},  {24, 4, 16, 16}};
  for (const auto& kind : kinds) {
    const Additive m = random_matrix(kind.type, kind.books, kind.group, kind.entries, 6, 1056);
    std::vector<float> row(m.cols);
    for (u32 first : {0u, 2u}) {
      const cpu::Matrix some = m.matrix().some_rows(first, 4);
      for (u32 r = 0; r < 4; ++r) {
        cpu::decode_row(some, r, row.data());
        for (u64 c = 0; c < m.cols; ++c) {
          const double expected = m.weight(first + r, c);
          ASSERT_NEAR(row[c], expected, 1e-5) << "row " << first + r << ", column " << c;
        }
      }
    }
  }
}

// ---- Books as integers

TEST(Additive, BooksAreRoundedSuchThatSumsFit) {
  for (const u32 count : {1u, 2u, 8u}) {
    std::mt19937 random(count);
    std::normal_distribution<float> normal;
    std::vector<float> books(count * 64 * 8);
    for (float& number : books) number = normal(random);
    std::vector<i16> steps(books.size());
    const float step = round_books(books, count, steps.data());
    i32 most = 0;
    for (u32 b = 0; b < count; ++b) {
      i32 largest = 0;
      for (u32 i = b * 512; i < (b + 1) * 512; ++i) {
        ASSERT_NEAR(steps[i] * double(step), books[i], 0.504 * step) << "a half, and 1 / step as a float";
        largest = std::max(largest, std::abs(i32(steps[i])));
      }
      most += largest;
    }
    EXPECT_LE(most, 32767);
    EXPECT_GE(most, 32700) << "no bit is given away";
  }
}

TEST(Additive, BooksOfNothingAndOfNoNumbersAreRounded) {
  std::vector<i16> steps(16, 7);
  EXPECT_EQ(round_books(std::vector<float>(16, 0.0f), 2, steps.data()), 0);
  EXPECT_EQ(steps, std::vector<i16>(16, 0));
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    std::vector<float> books(16, 1.0f);
    books[11] = bad;
    EXPECT_TRUE(std::isnan(round_books(books, 2, steps.data())));
  }
  EXPECT_EQ(round_books(std::vector<float>(16, 1e-44f), 2, steps.data()) * 0, 0);  // 1 / step would overflow
}

// ---- ../shared/vectors/sources/aqlm/layers, which not every machine has

std::vector<float> floats_of(const files::SafeTensor& tensor, const u8* file) {
  std::vector<float> out(tensor.bytes / (tensor.dtype->bits / 8));
  find(tensor.dtype->ggml_type)->decode(file + tensor.offset, out.size(), out.data());
  return out;
}

template <class T>
std::vector<T> read_numbers(const std::string& path) {
  const auto bytes = test::read_file(path);
  EXPECT_TRUE(bytes.has_value()) << path;
  std::vector<T> numbers(bytes ? bytes->size() / sizeof(T) : 0);
  if (bytes) std::memcpy(numbers.data(), bytes->data(), numbers.size() * sizeof(T));
  return numbers;
}

// False when the layer's format is none of ours: groups of several rows.
bool check_layer(const std::string& stem) {
  const auto file = test::read_file(stem + ".safetensors");
  EXPECT_TRUE(file.has_value());
  const auto parsed = files::parse_safetensors(*file, file->size());
  Additive m;
  std::vector<float> bias;
  u64 books = 0, group = 0, code_type = 0;
  for (const files::SafeTensor& tensor : parsed->file->tensors) {
    if (tensor.name.ends_with("codes")) {
      m.codes.assign(file->begin() + i64(tensor.offset), file->begin() + i64(tensor.offset + tensor.bytes));
      m.rows = tensor.shape[0], m.cols = tensor.shape[1], code_type = tensor.dtype->ggml_type;
    } else if (tensor.name.ends_with("codebooks")) {
      if (tensor.shape[2] != 1) return false;
      m.books = floats_of(tensor, file->data());
      books = tensor.shape[0], m.entries = u32(tensor.shape[1]), group = tensor.shape[3];
    } else if (tensor.name.ends_with("scales")) {
      m.scales = floats_of(tensor, file->data());
    } else if (tensor.name.ends_with("bias")) {
      bias = floats_of(tensor, file->data());
    }
  }
  m.cols *= group;
  m.format = find_additive(u32(code_type), books, group);
  if (!m.format) return ADD_FAILURE() << stem << ": no format", false;
  const auto x = read_numbers<float>(stem + ".x.f32.bin");
  const auto expected = read_numbers<double>(stem + ".y.f64.bin");
  const u32 tokens = u32(x.size() / m.cols), stride = u32(align_up(m.cols, 8));
  std::vector<float> padded(u64(tokens) * stride), out(tokens * m.rows);
  for (u32 t = 0; t < tokens; ++t) std::copy_n(x.data() + t * m.cols, m.cols, padded.data() + u64(t) * stride);
  cpu::best_kernels().floats(m.matrix(), {0, u32(m.rows)}, {padded.data(), tokens, u32(m.cols), stride},
                             bias.empty() ? nullptr : bias.data(), {out.data(), tokens, u32(m.rows), u32(m.rows)});
  for (u32 t = 0; t < tokens; ++t) {
    for (u64 r = 0; r < m.rows; ++r) {
      double size = bias.empty() ? 0 : std::abs(bias[r]);
      for (u64 c = 0; c < m.cols; ++c) size += std::abs(x[t * m.cols + c] * m.weight(r, c));
      EXPECT_NEAR(out[t * m.rows + r], expected[t * m.rows + r], 1e-5 * size)
          << stem << ", token " << t << ", row " << r;
    }
  }
  return true;
}

TEST(Additive, LayersAreAsExpected) {
  const std::string folder = test::shared_path("vectors/sources/aqlm/");
  const auto text = test::read_file(folder + "index.json");
  if (!text) GTEST_SKIP() << "no " << folder << "index.json on this machine";
  const auto index = nlohmann::json::parse(*text);
  u32 checked = 0;
  for (const auto& layer : index["layers"]) checked += check_layer(folder + "layers/" + std::string(layer["name"]));
  EXPECT_EQ(index["layers"].size(), 16u);
  EXPECT_EQ(checked, 15u);
}

}  // namespace
}  // namespace pronk::formats
