// The products of every instruction set that this machine has, against the reference in double precision.
#include "cpu/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "base/bytes.h"
#include "base/half.h"
#include "cpu/attention.h"
#include "support/random_blocks.h"

namespace pronk::cpu {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

struct Case {
  u32 rows, cols, tokens;
};

// Whole units, parts of them, more than a panel, one row less and more than a panel has, any number of tokens.
std::vector<Case> cases(const formats::Format& format) {
  std::vector<Case> all;
  for (u32 cols : {32u, 64u, 256u, 544u, 576u, 1024u, 1280u, 2304u}) {
    if (cols % format.block_weights != 0) continue;
    for (u32 rows : {1u, 7u, 16u, 19u, 33u}) all.push_back({rows, cols, 1 + (rows + cols / 32) % 14});
    all.push_back({17, cols, 1});
    all.push_back({17, cols, 27});
  }
  return all;
}

std::vector<float> random_activations(u64 count, u32 seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (u64 i = 0; i < count; ++i) values[i] = normal(random) * (i % 97 == 0 ? 30.0f : 1.0f);
  return values;
}

double quant_at(const Kernels& kernels, const QuantizedRows& x, u32 t, u32 k) {
  const u8* at = x.quants + (u64(t) * x.stride + k) * kernels.quant_bytes;
  return kernels.quant_bytes == 1 ? i8(*at) : load_le<i16>(at);
}

// A matrix times activations, and what should come out.
struct Product {
  Matrix matrix;
  std::vector<u8> bytes;
  std::vector<float> x, bias, out;
  std::vector<double> weights;
  u32 tokens, stride;

  Product(const formats::Format& format, const Case& c, u32 seed, std::vector<u8> blocks)
      : bytes(std::move(blocks)), tokens(c.tokens), stride(u32(align_up(c.cols, 8))) {
    matrix = {&format, bytes.data(), c.rows, c.cols};
    x = random_activations(u64(c.tokens) * stride, seed);
    for (u32 t = 0; t < tokens; ++t) std::fill_n(&x[t * stride] + c.cols, stride - c.cols, 0.0f);
    bias = random_activations(c.rows, seed + 1);
    out.assign(u64(c.tokens) * (c.rows + 3), 77);
    std::vector<float> decoded(u64(c.rows) * c.cols);
    format.decode(bytes.data(), decoded.size() / format.block_weights, decoded.data());
    weights.assign(decoded.begin(), decoded.end());
  }
  Product(const formats::Format& format, const Case& c, u32 seed)
      : Product(format, c, seed, test::random_blocks(format, u64(c.rows) * c.cols / format.block_weights, seed, 64)) {}

  Rows<const float> activations() const { return {x.data(), tokens, matrix.cols, stride}; }
  Rows<float> outputs() { return {out.data(), tokens, matrix.rows, matrix.rows + 3}; }

  // x_at(t, k): what the activations are taken for.
  template <class At>
  void expect(const At& x_at, bool with_bias) {
    std::vector<double> exact_x(matrix.cols);
    for (u32 t = 0; t < tokens; ++t) {
      for (u32 k = 0; k < matrix.cols; ++k) exact_x[k] = x_at(t, k);
      for (u32 n = 0; n < matrix.rows; ++n) {
        double sum = with_bias ? bias[n] : 0, size = 1e-6 + std::fabs(sum);
        for (u32 k = 0; k < matrix.cols; ++k) {
          const double term = weights[u64(n) * matrix.cols + k] * exact_x[k];
          sum += term, size += std::fabs(term);
        }
        // Offsets add and take away parts that are larger than the terms.
        ASSERT_NEAR(out[t * (matrix.rows + 3) + n], sum, 1e-5 * size)
            << matrix.format->name << " " << matrix.rows << "×" << matrix.cols << " row " << n << " token " << t;
      }
      EXPECT_EQ(out[t * (matrix.rows + 3) + matrix.rows], 77) << "wrote beyond the rows";
    }
  }
};

void expect_integers(const Kernels& kernels, Product& product, bool with_bias = false) {
  QuantizedBuffer buffer(product.tokens, product.matrix.cols, kernels.quant_bytes);
  const QuantizedRows x = buffer.rows(product.tokens, product.matrix.cols);
  kernels.quantize(product.activations(), x);
  MultiplyQuantized* multiply = kernels.quantized(*product.matrix.format);
  ASSERT_NE(multiply, nullptr);
  multiply(product.matrix, {0, product.matrix.rows}, x, with_bias ? product.bias.data() : nullptr, product.outputs());
  product.expect(
      [&](u32 t, u32 k) {
        return double(x.scales[(u64(t) * x.stride + k) / quant_block]) * quant_at(kernels, x, t, k);
      },
      with_bias);
}

class KernelsOf : public testing::TestWithParam<const Kernels*> {};
INSTANTIATE_TEST_SUITE_P(Here, KernelsOf, testing::ValuesIn(available_kernels().begin(), available_kernels().end()),
                         [](const auto& kernels) { return std::string(kernels.param->name); });

TEST_P(KernelsOf, IntegerProductsOfEveryFormat) {
  const Kernels& kernels = *GetParam();
  u32 seed = 1, formats = 0;
  for (const formats::Format& format : formats::table()) {
    if (!kernels.quantized(format)) continue;
    ++formats;
    for (const Case& c : cases(format)) {
      Product product(format, c, ++seed);
      expect_integers(kernels, product, seed % 2 == 0);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_EQ(formats, formats::table().size() - 4) << "all but floats and those from a table of floats";
}

TEST_P(KernelsOf, FloatProductsOfEveryFormat) {
  const Kernels& kernels = *GetParam();
  u32 seed = 1;
  for (const formats::Format& format : formats::table()) {
    std::vector<Case> all{{7, 256, 1}, {5, 1280, 3}, {19, 1280, 6}, {4, 768, 9}, {71, 512, 19}};
    if (format.block_weights == 1) {
      all.insert(all.end(), {{5, 13, 1}, {6, 1029, 1}, {5, 1029, 2}, {5, 13, 6}, {9, 1030, 5}, {32, 264, 16}});
    }
    for (const Case& c : all) {
      Product product(format, c, ++seed);
      const Rows<const float> x = product.activations();
      kernels.floats(product.matrix, {0, c.rows}, x, seed % 2 ? product.bias.data() : nullptr, product.outputs());
      product.expect([&](u32 t, u32 k) { return double(x[t][k]); }, seed % 2);
      if (HasFatalFailure()) return;
    }
  }
}

// Whatever the cut into runs of rows, the same bits come out: so any number of threads gives the same text.
TEST_P(KernelsOf, CutsChangeNothing) {
  const Kernels& kernels = *GetParam();
  u32 seed = 1;
  for (const formats::Format& format : formats::table()) {
    for (u32 tokens : {1u, 3u, 9u}) {
      const Case c{40, 1280, tokens};
      Product whole(format, c, ++seed), cut = whole;
      cut.matrix.bytes = whole.matrix.bytes;
      QuantizedBuffer buffer(tokens, c.cols, kernels.quant_bytes);
      const QuantizedRows x = buffer.rows(tokens, c.cols);
      kernels.quantize(whole.activations(), x);
      const auto multiply = [&](Product& product, RowRange range) {
        if (MultiplyQuantized* quantized = kernels.quantized(format)) {
          quantized(product.matrix, range, x, nullptr, product.outputs());
        } else {
          kernels.floats(product.matrix, range, product.activations(), nullptr, product.outputs());
        }
      };
      multiply(whole, {0, 40});
      for (RowRange range : {RowRange{0, 3}, {3, 24}, {24, 25}, {25, 40}}) multiply(cut, range);
      EXPECT_EQ(whole.out, cut.out) << format.name << " " << tokens;
    }
  }
}

// As many bytes of a block are `fill` as can be without making a weight absurd.
std::vector<u8> filled_block(const formats::Format& format, u8 fill) {
  std::vector<u8> block = test::random_blocks(format, 1, 3, 64);
  std::vector<float> decoded(format.block_weights);
  for (u8& byte : block) {
    const u8 before = byte;
    byte = fill;
    format.decode(block.data(), 1, decoded.data());
    for (float weight : decoded) {
      if (!(std::fabs(weight) <= 1e4f)) byte = before;
    }
  }
  return block;
}

// Quants at their ends with activations at theirs: sums of products that 16 bits hold just so, or not at all.
TEST_P(KernelsOf, ExtremeQuants) {
  const Kernels& kernels = *GetParam();
  for (const formats::Format& format : formats::table()) {
    if (!kernels.quantized(format)) continue;
    for (u8 fill : {u8(0x00), u8(0xff), u8(0x80), u8(0x7f), u8(0x0f), u8(0xf0)}) {
      for (int sign : {1, -1, 0}) {
        const Case c{17, 512, 5};
        const u64 count = u64(c.rows) * c.cols / format.block_weights;
        const std::vector<u8> block = filled_block(format, fill);
        std::vector<u8> filled;
        for (u64 b = 0; b < count; ++b) filled.insert(filled.end(), block.begin(), block.end());
        Product product(format, c, 1, filled);
        for (u64 i = 0; i < product.x.size(); ++i) product.x[i] = sign == 0 ? (i % 2 ? 1.0f : -1.0f) : float(sign);
        expect_integers(kernels, product);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(KernelsOf, QuantsAreTheNearest) {
  const Kernels& kernels = *GetParam();
  const u32 cols = 544, tokens = 3;
  std::vector<float> x = random_activations(cols * tokens, 5);
  std::fill_n(&x[32], 32, 0.0f);
  std::fill_n(&x[64], 32, 1e-42f);  // 1 / scale would overflow
  QuantizedBuffer buffer(tokens, cols, kernels.quant_bytes);
  const QuantizedRows rows = buffer.rows(tokens, cols);
  kernels.quantize({x.data(), tokens, cols, cols}, rows);
  EXPECT_EQ(rows.stride, 768u);
  for (u32 t = 0; t < tokens; ++t) {
    for (u32 b = 0; b < rows.stride / quant_block; ++b) {
      const float scale = rows.scales[t * rows.stride / quant_block + b];
      double halves[2] = {};
      for (u32 i = 0; i < quant_block; ++i) {
        const u32 k = b * quant_block + i;
        const double quant = quant_at(kernels, rows, t, k);
        halves[i / 16] += quant;
        EXPECT_LE(std::fabs(quant), 127);
        EXPECT_NEAR(quant * scale, k < cols ? x[t * cols + k] : 0, scale * 0.5001 + 1e-38) << k;
      }
      const u64 at = t * rows.stride / quant_block + b;
      EXPECT_FLOAT_EQ(rows.sums[at], float(scale * (halves[0] + halves[1])));
      EXPECT_FLOAT_EQ(rows.half_sums[2 * at], float(scale * halves[0]));
      EXPECT_FLOAT_EQ(rows.half_sums[2 * at + 1], float(scale * halves[1]));
    }
  }
}

// What is not finite does not vanish: neither in the activations nor in a weight's scale.
TEST_P(KernelsOf, NotFiniteStaysNotFinite) {
  const Kernels& kernels = *GetParam();
  for (const formats::Format& format : formats::table()) {
    MultiplyQuantized* multiply = kernels.quantized(format);
    if (!multiply) continue;
    for (float bad : {infinity, -infinity, std::nanf("")}) {
      for (u32 tokens : {1u, 8u}) {
        Product product(format, {8, 512, tokens}, 7);
        product.x[300] = bad;
        QuantizedBuffer buffer(tokens, 512, kernels.quant_bytes);
        const QuantizedRows x = buffer.rows(tokens, 512);
        kernels.quantize(product.activations(), x);
        multiply(product.matrix, {0, 8}, x, nullptr, product.outputs());
        for (u32 n = 0; n < 8; ++n) EXPECT_FALSE(std::isfinite(product.out[n])) << format.name;
        for (u32 t = 1; t < tokens; ++t) EXPECT_TRUE(std::isfinite(product.out[t * 11])) << format.name;
      }
    }
  }
}

// Block after block, against plain loops in double: heads that are no whole vectors, values of another width, values
// within the keys, soft caps.
void expect_attention(const Kernels& kernels, const AttendShape& shape) {
  const u32 positions = 90;
  const std::vector<float> q = random_activations(shape.key_width, 1),
                           keys = random_activations(positions * shape.key_width, 2),
                           values = random_activations(positions * shape.value_stride, 3);
  const std::vector<double> q2(q.begin(), q.end()), keys2(keys.begin(), keys.end()),
      values2(values.begin(), values.end());
  const u32 width = shape.value_width;
  std::vector<float> out(width + 1);
  out[width] = 77;
  Softmax<float> state;
  Softmax<double> exact_state;
  std::vector<double> exact(width);
  for (u32 first = 0; first < positions; first += kv_rows) {
    const u32 count = std::min(kv_rows, positions - first);
    const u64 key = first * shape.key_width, value = first * shape.value_stride;
    kernels.attend(shape, q.data(), &keys[key], &values[value], count, state, out.data());
    attend_block<double>(shape, q2.data(), &keys2[key], &values2[value], count, exact_state, exact.data());
  }
  EXPECT_NEAR(state.sum, exact_state.sum, 1e-4 * exact_state.sum);
  for (u32 i = 0; i < width; ++i) {
    EXPECT_NEAR(out[i] / state.sum, exact[i] / exact_state.sum, 1e-4) << shape.key_width << " " << width;
  }
  EXPECT_EQ(out[width], 77);
}

TEST_P(KernelsOf, Attention) {
  const Kernels& kernels = *GetParam();
  for (u32 dim : {64u, 128u, 80u, 20u, 7u}) {
    expect_attention(kernels, {dim, dim, dim, 0.3f, 0});
    expect_attention(kernels, {dim, dim, dim, 0.3f, 2.5f});
    expect_attention(kernels, {dim, 3 * dim + 5, 3 * dim + 5, 0.3f, 0});
    expect_attention(kernels, {2 * dim, dim - 3, 2 * dim, 0.2f, 0});
  }
}

// g σ(factor · (g + cubic · g³)) · up
void expect_gate(const Kernels& kernels, float factor, float cubic) {
  std::vector<float> gate, up;
  for (float x = -120; x <= 120; x += 0.37f) gate.push_back(x), up.push_back(1.5f);
  for (float x : {0.0f, -0.0f, 1e-30f, -87.5f, 88.5f, infinity}) gate.push_back(x), up.push_back(2);
  gate.push_back(std::nanf("")), up.push_back(1);
  const u32 width = u32(gate.size()), stride = u32(align_up(width, 8));
  gate.resize(stride), up.resize(stride);
  std::vector<float> out(stride);
  kernels.gate({gate.data(), 1, width, stride}, {up.data(), 1, width, stride}, factor, cubic,
               {out.data(), 1, width, stride});
  for (u32 i = 0; i + 1 < width; ++i) {
    const double g = gate[i], inner = cubic == 0 ? g : g + double(cubic) * g * g * g;
    const double exact = g / (1 + std::exp(-double(factor) * inner)) * up[i];
    // The cubic's few roundings are absolute errors of the exponent.
    const double argument = cubic == 0 || !std::isfinite(inner) ? 0 : std::fabs(factor * inner);
    const double tolerance = 1e-6 + argument * 4 * 0x1p-24;
    EXPECT_TRUE(out[i] == exact || std::fabs(out[i] - exact) <= tolerance * std::fabs(exact) + 1e-35)
        << g << " " << out[i] << " " << exact;
  }
  EXPECT_TRUE(std::isnan(out[width - 1]));
}

TEST_P(KernelsOf, GatesAtAllSizes) {
  const Kernels& kernels = *GetParam();
  expect_gate(kernels, 1, 0);
  expect_gate(kernels, 1.5957691216f, 0.044715f);
}

// Every f16 there is.
TEST_P(KernelsOf, HalvesAreExact) {
  const Kernels& kernels = *GetParam();
  std::vector<u16> halves(65536 + 3);
  for (u32 i = 0; i < halves.size(); ++i) halves[i] = u16(i);
  std::vector<float> out(halves.size());
  kernels.from_halves(reinterpret_cast<const u8*>(halves.data()), halves.size(), out.data());
  for (u32 i = 0; i < halves.size(); ++i) {
    const float exact = f16_to_f32(halves[i]);
    ASSERT_TRUE(std::isnan(exact) ? std::isnan(out[i]) : std::bit_cast<u32>(out[i]) == std::bit_cast<u32>(exact)) << i;
  }
}

// Rows of a KV cache as the kernels and as plain loops have them: heads of whole blocks, of parts of them, of blocks
// that are no whole vectors; the last of the memory is the last that is read.
TEST_P(KernelsOf, RowsOfAQuantizedCache) {
  const Kernels& kernels = *GetParam();
  for (graph::KvType type : {graph::KvType::q8, graph::KvType::q4}) {
    for (u32 dim : {8u, 20u, 40u, 64u, 80u, 100u, 128u, 256u}) {
      const u32 rows = 5;
      KvRows<float> cache(type, dim, rows);
      const std::vector<float> from = random_activations(u64(rows) * dim, dim);
      for (u32 r = 0; r < rows; ++r) cache.put(r, &from[u64(r) * dim]);
      std::vector<float> plain(u64(rows) * dim), out(u64(rows) * dim + 1, 77);
      cache.copy(0, rows, plain.data());
      cache.copy(0, rows, out.data(), &kernels);
      EXPECT_EQ(out.back(), 77);
      out.pop_back();
      EXPECT_EQ(out, plain) << dim << (type == graph::KvType::q8 ? " bytes" : " nibbles");
    }
  }
}

TEST(BestKernels, AreTheFirstThatRun) {
  ASSERT_FALSE(available_kernels().empty());
  for (const Kernels* kernels : available_kernels()) EXPECT_TRUE(kernels->runs_here());
  EXPECT_EQ(available_kernels().back()->name, "generic");
  if (!std::getenv("PRONK_CPU_ISA")) EXPECT_EQ(&best_kernels(), available_kernels().front());
}

}  // namespace
}  // namespace pronk::cpu
