#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "cpu/kernels.h"
#include "support/additive.h"

namespace pronk::cpu {
namespace {

// scale · quant, as kernels.quantize has it.
double activation_of(const Kernels& kernels, const QuantizedRows& x, u32 t, u64 k) {
  const u64 at = u64(t) * x.stride + k;
  const i32 quant = kernels.quant_bytes == 1 ? i32(i8(x.quants[at])) : i32(reinterpret_cast<const i16*>(x.quants)[at]);
  return double(x.scales[at / quant_block]) * quant;
}

struct Kind {
  u32 type, books, group, entries;
};
constexpr Kind kinds[] = {{24, 2, 8, 256}, {25, 1, 8, 65536}, {25, 1, 8, 4096}, {25, 1, 16, 65536},
                          {24, 1, 8, 2},   {24, 8, 32, 256},  {24, 4, 16, 16},  {24, 2, 8, 128}};

std::vector<float> random_numbers(u64 count, u32 seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(count);
  for (float& number : numbers) number = normal(random);
  return numbers;
}

// A random matrix whose books are whole steps already, times random activations.
void expect_products(const Kernels& kernels, const Kind& kind, u32 rows, u32 cols, u32 tokens, bool with_bias) {
  test::Additive m = test::random_matrix(kind.type, kind.books, kind.group, kind.entries, rows, cols);
  std::vector<i16> steps(m.books.size());
  const float step = formats::round_books(m.books, kind.books, steps.data());
  for (std::size_t i = 0; i < steps.size(); ++i) m.books[i] = float(steps[i] * double(step));
  Matrix matrix = m.matrix();
  matrix.tables.books = nullptr, matrix.tables.steps = steps.data(), matrix.tables.step = step;

  const std::vector<float> x = random_numbers(u64(tokens) * cols, 1), bias = random_numbers(rows, 2);
  QuantizedBuffer buffer(tokens, cols, kernels.quant_bytes);
  const QuantizedRows quantized = buffer.rows(tokens, cols);
  kernels.quantize({x.data(), tokens, cols, cols}, quantized);
  std::vector<float> out(u64(tokens) * rows, 77);
  const u32 first = 5;
  MultiplyQuantized* multiply = kernels.quantized(*m.format);
  ASSERT_NE(multiply, nullptr);
  multiply(matrix, {first, rows}, quantized, with_bias ? bias.data() : nullptr, {out.data(), tokens, rows, rows});
  for (u32 t = 0; t < tokens; ++t) {
    for (u32 n = 0; n < rows; ++n) {
      double sum = with_bias ? bias[n] : 0, size = std::abs(sum);
      for (u32 k = 0; k < cols; ++k) {
        const double term = m.weight(n, k) * activation_of(kernels, quantized, t, k);
        sum += term, size += std::abs(term);
      }
      if (n < first) sum = 77;  // a row that was not asked for
      ASSERT_NEAR(out[t * rows + n], sum, n < first ? 0 : 2e-6 * size)
          << kind.books << " books of " << kind.entries << ", groups of " << kind.group << ", token " << t << " of "
          << tokens << ", row " << n;
    }
  }
  std::vector<float> row(cols);  // as an embedding reads it
  decode_row(matrix, 7, row.data());
  for (u32 k = 0; k < cols; ++k) ASSERT_NEAR(row[k], m.weight(7, k), 1e-5);
}

class AdditiveProducts : public testing::TestWithParam<const Kernels*> {};
INSTANTIATE_TEST_SUITE_P(Here, AdditiveProducts,
                         testing::ValuesIn(available_kernels().begin(), available_kernels().end()),
                         [](const auto& kernels) { return std::string(kernels.param->name); });

// Rows that fill no panel, columns that fill none, any number of activations, a run of rows from the middle.
TEST_P(AdditiveProducts, AreThoseOfIntegers) {
  for (const Kind& kind : kinds) {
    for (const u32 tokens : {1u, 3u, 4u, 7u, 9u}) {
      expect_products(*GetParam(), kind, 37, tokens % 2 ? 544 : 96, tokens, tokens % 2);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace pronk::cpu
