// Every plain operation as the executor runs it, against formulas written out here. Inputs are tables of embeddings
// that are read row by row. Every test runs with several chunks and with tokens that come in parts.
#include <gtest/gtest.h>

#include <functional>

#include "cpu/executor.h"
#include "support/graph_llama.h"

namespace pronk::cpu {
namespace {

using graph::Builder;
using graph::Function;
using graph::KvType;
using graph::ValueId;
using graph::WeightId;
using Row = std::vector<double>;
using Table = std::vector<Row>;

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Input {
  ValueId id;
  Table rows;
  const Row& operator[](u32 t) const { return rows[t]; }
};
struct Numbers {
  WeightId id = WeightId::none;
  Row values;
  double operator[](std::size_t i) const { return values[i]; }
};

// A graph with what its weights hold.
class Harness {
 public:
  explicit Harness(u32 tokens = 40) : tokens_(tokens) {}

  Builder g;
  u32 tokens() const { return tokens_; }

  Input input(u32 width, double low = -2, double high = 2) {
    const Numbers all = numbers(tokens_, width, low, high);
    Input in{g.embed(all.id), {}};
    for (u32 t = 0; t < tokens_; ++t) in.rows.emplace_back(&all.values[t * width], &all.values[t * width] + width);
    return in;
  }
  Numbers numbers(u32 rows, u32 cols, double low = -1, double high = 1, const char* format = "F32") {
    std::uniform_real_distribution<float> random{float(low), float(high)};
    std::vector<float> values(rows * cols);
    for (float& value : values) value = random(random_);
    const formats::Format& f = *formats::find(format);
    const u64 blocks = values.size() / f.block_weights;
    bytes_.emplace_back(blocks * f.block_bytes);
    f.encode(values.data(), blocks, bytes_.back().data());
    f.decode(bytes_.back().data(), blocks, values.data());
    return {g.weight("weight" + std::to_string(bytes_.size()), &f, rows, cols), Row(values.begin(), values.end())};
  }

  // The graph is finished: out is what it makes.
  void output(ValueId out) { graph_ = g.finish(out, g.scale(out, 1)); }
  const graph::Graph& graph() const { return graph_; }

  struct How {
    u32 chunk;
    std::vector<u32> parts;  // the last is repeated
  };
  template <class Real>
  Executor<Real> executor(u32 chunk, graph::KvTypes kv = KvType::f32, u32 context = 0,
                          graph::Activations activations = graph::Activations::f32,
                          const Kernels& kernels = best_kernels()) const {
    std::vector<const u8*> weights;
    for (const auto& weight : bytes_) weights.push_back(weight.data());
    return Executor<Real>(graph_, weights, context ? context : tokens_ + 3, kv, chunk, chunk / 2, activations, kernels);
  }
  template <class Real>
  static Table run(Executor<Real>& executor, u32 first, u32 end, u32 count) {
    std::vector<u32> run;
    for (u32 t = first; t < end; ++t) run.push_back(t);
    Table rows;
    for (u32 at = 0; at < run.size(); at += count) {
      const auto some = std::span<const u32>(run).subspan(at, std::min<std::size_t>(count, run.size() - at));
      const auto out = executor.run(some, first + at, true);
      const std::size_t width = out.size() / some.size();
      for (u32 t = 0; t < some.size(); ++t) rows.emplace_back(&out[t * width], &out[t * width] + width);
    }
    return rows;
  }
  // All rows, the first part apart.
  template <class Real>
  Table rows(const How& how, graph::KvTypes kv = KvType::f32, u32 context = 0) const {
    auto e = executor<Real>(how.chunk, kv, context);
    Table all = run(e, 0, how.parts[0], how.parts[0]);
    const Table rest = run(e, how.parts[0], tokens_, how.parts.back());
    all.insert(all.end(), rest.begin(), rest.end());
    return all;
  }

 private:
  u32 tokens_;
  std::mt19937 random_{7};
  std::vector<std::vector<u8>> bytes_;
  graph::Graph graph_;
};

double relative_error(const Table& got, const Table& expected) {
  EXPECT_EQ(got.size(), expected.size());
  double difference = 0, size = 1e-300;
  for (std::size_t t = 0; t < std::min(got.size(), expected.size()); ++t) {
    EXPECT_EQ(got[t].size(), expected[t].size());
    for (std::size_t i = 0; i < std::min(got[t].size(), expected[t].size()); ++i) {
      difference += std::pow(got[t][i] - expected[t][i], 2);
      size += std::pow(expected[t][i], 2);
    }
  }
  return std::sqrt(difference / size);
}

// of(t): the row that should come out for token t.
void expect(Harness& h, ValueId out, const std::function<Row(u32)>& of, bool in_parts = true, u32 context = 0) {
  h.output(out);
  const u32 n = h.tokens();
  Table expected;
  for (u32 t = 0; t < n; ++t) expected.push_back(of(t));
  std::vector<Harness::How> hows{{n, {n}}};
  if (in_parts) hows.insert(hows.end(), {{7, {n}}, {n, {n / 3}}, {16, {1, n}}, {3, {n / 3, 1}}, {1, {1}}});
  for (const Harness::How& how : hows) {
    SCOPED_TRACE("chunk " + std::to_string(how.chunk) + ", parts of " + std::to_string(how.parts[0]) + " and " +
                 std::to_string(how.parts.back()));
    EXPECT_LE(relative_error(h.rows<double>(how, KvType::f32, context), expected), 1e-12);
    EXPECT_LE(relative_error(h.rows<float>(how, KvType::f32, context), expected), 1e-5);
  }
  auto e = h.executor<float>(9);
  EXPECT_EQ(Executor<float>::footprint(h.graph(), n + 3, KvType::f32, 9, 4), e.allocated());
}

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }
double dot_of(const Row& a, const Row& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
Row slice(const Row& row, u32 first, u32 count) { return {row.begin() + first, row.begin() + first + count}; }
void append(Row& row, const Row& more) { row.insert(row.end(), more.begin(), more.end()); }

// ---- By columns

TEST(Operations, EmbedByPosition) {
  Harness h;
  const Numbers table = h.numbers(50, 11);
  const Input x = h.input(11);
  expect(h, h.g.add(x.id, h.g.embed(table.id, true)), [&](u32 t) {
    Row out = x[t];
    for (u32 i = 0; i < 11; ++i) out[i] += table[t * 11 + i];
    return out;
  });
}

// weight, bias: 0 none, 1 a group's, 2 all columns'.
void expect_norm(graph::Norm::Kind kind, u32 width, u32 group, u32 weights, u32 biases, float scale) {
  SCOPED_TRACE(std::to_string(width) + " by " + std::to_string(group) + ", weight " + std::to_string(weights) +
               ", bias " + std::to_string(biases));
  Harness h(10);
  const Input x = h.input(width);
  const Numbers w = weights ? h.numbers(1, weights == 1 ? group : width) : Numbers{};
  const Numbers b = biases ? h.numbers(1, biases == 1 ? group : width) : Numbers{};
  const auto out =
      h.g.norm({.kind = kind, .x = x.id, .weight = w.id, .bias = b.id, .group = group, .eps = 0.01f, .scale = scale});
  expect(h, out, [&](u32 t) {
    Row result;
    for (u32 first = 0; first < width; first += group) {
      double mean = 0, squares = 0;
      for (u32 i = 0; i < group; ++i) mean += x[t][first + i] / group;
      if (kind == graph::Norm::Kind::rms) mean = 0;
      for (u32 i = 0; i < group; ++i) squares += std::pow(x[t][first + i] - mean, 2) / group;
      for (u32 i = 0; i < group; ++i) {
        double y = double(scale) * (x[t][first + i] - mean) / std::sqrt(squares + double(0.01f));
        if (weights) y *= w[weights == 1 ? i : first + i];
        if (biases) y += b[biases == 1 ? i : first + i];
        result.push_back(y);
      }
    }
    return result;
  });
}

TEST(Operations, Norm) {
  for (const auto kind : {graph::Norm::Kind::rms, graph::Norm::Kind::layer}) {
    expect_norm(kind, 13, 13, 1, 0, 1);
    expect_norm(kind, 24, 8, 0, 0, 0.5f);
    expect_norm(kind, 30, 10, 1, 1, 1);
    expect_norm(kind, 30, 10, 2, 1, 1);
    expect_norm(kind, 30, 5, 1, 2, 2);
  }
}

double function_of(Function function, const std::array<float, 4>& f, double a, double b) {
  const double p[4] = {f[0], f[1], f[2], f[3]};
  const double pi = 3.14159265358979323846;
  const auto gelu = [](double x) { return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))); };
  const auto gelu_tanh = [&](double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / pi) * (x + double(0.044715) * x * x * x)));
  };
  switch (function) {
    case Function::scale:
      return p[0] * a + p[1];
    case Function::clamp:
      return std::clamp(a, p[0], p[1]);
    case Function::soft_cap:
      return p[0] * std::tanh(a / p[0]);
    case Function::silu:
      return a * sigmoid_of(a);
    case Function::gelu:
      return gelu(a);
    case Function::gelu_tanh:
      return gelu_tanh(a);
    case Function::relu_squared:
      return std::pow(std::max(a, 0.0), 2);
    case Function::sigmoid:
      return sigmoid_of(a);
    case Function::softplus:
      return std::log(1 + std::exp(a));
    case Function::exponential:
      return std::exp(a);
    case Function::xielu:
      return a > 0 ? p[0] * a * a + p[2] * a : p[1] * (std::exp(std::min(a, p[3])) - 1 - a) + p[2] * a;
    case Function::add:
      return a + b;
    case Function::multiply:
      return a * b;
    case Function::add_scaled:
      return a + p[0] * b;
    case Function::silu_gate:
      return a * sigmoid_of(a) * b;
    case Function::gelu_gate:
      return gelu(a) * b;
    case Function::gelu_tanh_gate:
      return gelu_tanh(a) * b;
    case Function::relu_squared_gate:
      return std::pow(std::max(a, 0.0), 2) * b;
    case Function::sigmoid_gate:
      return a * sigmoid_of(b);
    case Function::clamped_gate: {
      const double gate = std::min(a, p[1]);
      return gate * sigmoid_of(p[0] * gate) * (std::clamp(b, -p[1], p[1]) + 1);
    }
    case Function::learned_xielu:
      return 0;  // by four numbers: below
  }
  return 0;
}

constexpr u32 functions = u32(Function::clamped_gate) + 1;  // but learned_xielu

std::array<float, 4> parameters_of(Function function) {
  if (function == Function::clamp) return {-1.5f, 2.5f};
  if (function == Function::clamped_gate) return {1.702f, 2.5f};
  return {0.8f, 0.35f, 0.6f, -0.2f};
}

// b: a value or a weight, a number of which serves 1, some or all columns.
TEST(Operations, MapOfEveryFunction) {
  for (u32 number = 0; number < functions; ++number) {
    const Function function = Function(number);
    const auto p = parameters_of(function);
    for (const u32 shared : {1u, 6u, 300u}) {
      for (const bool weight : {false, true}) {
        SCOPED_TRACE(std::to_string(number) + " shared by " + std::to_string(shared) + (weight ? " of a weight" : ""));
        Harness h(6);
        const Input a = h.input(300, -4, 4), b = h.input(300 / shared, -4, 4);
        const Numbers w = h.numbers(1, 300 / shared);
        const ValueId out = !takes_two(function) ? h.g.map(function, a.id, p)
                            : weight             ? h.g.map(function, a.id, w.id, p)
                                                 : h.g.map(function, a.id, b.id, p);
        expect(h, out, [&](u32 t) {
          Row result;
          for (u32 i = 0; i < 300; ++i) {
            result.push_back(function_of(function, p, a[t][i], weight ? w[i / shared] : b[t][i / shared]));
          }
          return result;
        });
        if (!takes_two(function)) break;
      }
      if (!takes_two(function)) break;
    }
  }
}

TEST(Operations, XieluByWhatWasTrained) {
  Harness h(6);
  const Input a = h.input(50, -4, 4);
  const Numbers w = h.numbers(1, 4);
  const double above = std::log(1 + std::exp(w[1])), below = w[2] + std::log(1 + std::exp(w[0]));
  expect(h, h.g.map(Function::learned_xielu, a.id, w.id), [&](u32 t) {
    Row result;
    for (const double x : a[t])
      result.push_back((x > 0 ? above * x * x : below * (std::exp(std::min(x, double(w[3]))) - 1 - x)) + w[2] * x);
    return result;
  });
}

TEST(Operations, FunctionsAtTheEnds) {
  const float p[4] = {0.8f, 0.35f, 0.6f, -0.2f};
  const auto at = [&](Function function, float a, float b) {
    float out = 77;
    map_row<float>(function, {p[0], p[1], p[2], p[3]}, &a, &b, 1, &out);
    return out;
  };
  for (const float a : {-1000.0f, -90.0f, 90.0f, 1000.0f}) {
    EXPECT_NEAR(at(Function::softplus, a, 0), std::max(a, 0.0f), 1e-30);
    EXPECT_NEAR(at(Function::silu, a, 0), std::max(a, 0.0f), 1e-30);
    EXPECT_NEAR(at(Function::gelu, a, 0), std::max(a, 0.0f), 1e-30);
    EXPECT_NEAR(at(Function::gelu_tanh, a, 0), std::max(a, 0.0f), 1e-30);
    EXPECT_FLOAT_EQ(at(Function::soft_cap, a, 0), a > 0 ? 0.8f : -0.8f);
  }
  for (u32 function = 0; function < functions; ++function) {
    EXPECT_TRUE(std::isnan(at(Function(function), std::nanf(""), 1))) << function;
  }
}

TEST(Operations, PositionScale) {
  Harness h;
  const Input x = h.input(5);
  expect(h, h.g.position_scale(x.id, 0.3f, 8), [&](u32 t) {
    Row out = x[t];
    for (double& value : out) value *= 1 + double(0.3f) * std::log(1 + std::floor(t / 8.0));
    return out;
  });
}

TEST(Operations, ColumnsTakenAndJoined) {
  Harness h;
  const Input x = h.input(42), y = h.input(21);
  const ValueId taken = h.g.take_columns(x.id, 14, 3, 5);
  const ValueId joined = h.g.join_columns(taken, 5, y.id, 7);
  expect(h, joined, [&](u32 t) {
    Row out;
    for (u32 group = 0; group < 3; ++group) {
      append(out, slice(x[t], group * 14 + 3, 5));
      append(out, slice(y[t], group * 7, 7));
    }
    return out;
  });
}

// Slices of slices, read by operations of every kind.
TEST(Operations, SlicesAreReadInPlace) {
  Harness h;
  const Input x = h.input(64), y = h.input(8);
  const Numbers w = h.numbers(5, 16);
  const ValueId part = h.g.columns(h.g.columns(x.id, 16, 40), 8, 16);
  ASSERT_NE(h.g.graph()[part].parent, ValueId::none);
  const ValueId product = h.g.matmul(part, w.id);
  const ValueId gate = h.g.map(Function::silu_gate, h.g.columns(x.id, 40, 8), y.id);
  expect(h, h.g.join_columns(product, 5, gate, 8), [&](u32 t) {
    Row out;
    for (u32 n = 0; n < 5; ++n) out.push_back(dot_of(slice(x[t], 24, 16), slice(w.values, n * 16, 16)));
    for (u32 i = 0; i < 8; ++i) out.push_back(x[t][40 + i] * sigmoid_of(x[t][40 + i]) * y[t][i]);
    return out;
  });
}

TEST(Operations, KeepLargest) {
  Harness h;
  const Input x = h.input(31);
  expect(h, h.g.keep_largest(x.id, 0.7f), [&](u32 t) {
    double mean = 0, variance = 0;
    for (double value : x[t]) mean += value / 31;
    for (double value : x[t]) variance += (value - mean) * (value - mean) / 31;
    Row out;
    for (double value : x[t]) out.push_back(std::max(0.0, value - mean - double(0.7f) * std::sqrt(variance)));
    return out;
  });
}

// ---- Rotation

void expect_rope(graph::RopePairs pairs, u32 rotated, u32 head, u32 first, u32 context) {
  SCOPED_TRACE(std::to_string(rotated) + " of " + std::to_string(head) + " from " + std::to_string(first) +
               ", context " + std::to_string(context));
  Harness h;
  const Input x = h.input(3 * head), other = h.input(3 * head);
  const Numbers factors = h.numbers(1, rotated / 2, 0.5, 2), longer = h.numbers(1, rotated / 2, 3, 9);
  graph::RopeTable table{.pairs = pairs, .magnitude = 1.3};
  for (u32 i = 0; i < rotated / 2; ++i) table.frequency.push_back(1.0 / (1 + i));
  const graph::RopeTable plain = table;
  table.factors = factors.id, table.long_factors = longer.id, table.long_above = 100;
  const auto rotate = [&](const Row& row, u32 t, const Numbers* divisors) {
    Row out = row;
    for (u32 group = 0; group < 3; ++group) {
      for (u32 i = 0; i < rotated / 2; ++i) {
        const bool adjacent = pairs == graph::RopePairs::adjacent;
        const u32 a = group * head + first + (adjacent ? 2 * i : i);
        const u32 b = group * head + first + (adjacent ? 2 * i + 1 : i + rotated / 2);
        const double angle = t / (1.0 + i) / (divisors ? (*divisors)[i] : 1);
        out[a] = 1.3 * (row[a] * std::cos(angle) - row[b] * std::sin(angle));
        out[b] = 1.3 * (row[a] * std::sin(angle) + row[b] * std::cos(angle));
      }
    }
    return out;
  };
  const ValueId one = h.g.rope(x.id, h.g.rope_table(table), head, first);
  const ValueId two = h.g.rope(other.id, h.g.rope_table(plain), head, first);
  expect(
      h, h.g.join_columns(one, 3 * head, two, 3 * head),
      [&](u32 t) {
        Row out = rotate(x[t], t, context > 100 ? &longer : &factors);
        append(out, rotate(other[t], t, nullptr));
        return out;
      },
      true, context);
}

TEST(Operations, Rope) {
  for (const auto pairs : {graph::RopePairs::adjacent, graph::RopePairs::halves}) {
    expect_rope(pairs, 8, 8, 0, 100);
    expect_rope(pairs, 6, 11, 4, 100);
    expect_rope(pairs, 4, 10, 0, 101);
  }
}

// ---- Products

Row product(const Row& x, const Numbers& w, const Numbers& bias, u32 matrix, u32 rows) {
  Row out;
  for (u32 n = matrix * rows; n < (matrix + 1) * rows; ++n) {
    out.push_back(dot_of(x, slice(w.values, n * u32(x.size()), u32(x.size()))) + (bias.values.empty() ? 0 : bias[n]));
  }
  return out;
}

// chosen: by a router, or slot s by matrix s.
void expect_slots(u32 cols, u32 rows, bool chosen, bool own_columns, bool with_bias) {
  SCOPED_TRACE(std::to_string(cols) + " to " + std::to_string(rows) + (chosen ? ", chosen" : "") +
               (own_columns ? ", own columns" : "") + (with_bias ? ", bias" : ""));
  constexpr u32 slots = 3;
  const u32 matrices = chosen ? 7 : slots;
  Harness h;
  const Input x = h.input(own_columns ? slots * cols : cols), logits = h.input(matrices);
  const Numbers w = h.numbers(matrices * rows, cols), bias = with_bias ? h.numbers(1, matrices * rows) : Numbers{};
  const ValueId which = chosen ? h.g.route({.logits = logits.id, .used = slots}).chosen : ValueId::none;
  expect(h, h.g.matmul_chosen(x.id, w.id, bias.id, which, slots, rows), [&](u32 t) {
    std::vector<u32> order;
    for (u32 e = 0; e < matrices; ++e) order.push_back(e);
    if (chosen) std::sort(order.begin(), order.end(), [&](u32 a, u32 b) { return logits[t][a] > logits[t][b]; });
    Row out;
    for (u32 s = 0; s < slots; ++s) {
      append(out, product(own_columns ? slice(x[t], s * cols, cols) : x[t], w, bias, order[s], rows));
    }
    return out;
  });
}

TEST(Operations, MatMulOfSeveralMatrices) {
  for (const bool chosen : {false, true}) {
    for (const bool own_columns : {false, true}) {
      expect_slots(16, 8, chosen, own_columns, false);
      expect_slots(13, 21, chosen, own_columns, true);
    }
  }
}

// With quantized activations: close to the products of floats, and products that share an input share its quants.
TEST(Operations, ExpertsWithQuantizedActivations) {
  constexpr u32 slots = 2, experts = 5, width = 64, hidden = 96;
  Harness h;
  const Input x = h.input(width), logits = h.input(experts);
  const Numbers gate = h.numbers(experts * hidden, width, -1, 1, "Q8_0"),
                up = h.numbers(experts * hidden, width, -1, 1, "Q4_0"),
                down = h.numbers(experts * width, hidden, -1, 1, "Q8_0");
  const auto routed = h.g.route({.logits = logits.id, .used = slots, .normalize = true});
  const auto experts_of = [&](ValueId in, const Numbers& w, u32 rows) {
    return h.g.matmul_chosen(in, w.id, WeightId::none, routed.chosen, slots, rows);
  };
  const ValueId middle = h.g.map(Function::multiply, experts_of(x.id, gate, hidden), experts_of(x.id, up, hidden));
  h.output(h.g.weighted_sum(experts_of(middle, down, width), routed.weights));
  const Table exact = h.rows<double>({40, {40}});
  for (const Kernels* kernels : available_kernels()) {
    for (const u32 chunk : {1u, 7u, 40u}) {
      auto e = h.executor<float>(chunk, KvType::f32, 0, graph::Activations::q8, *kernels);
      EXPECT_EQ(
          Executor<float>::footprint(h.graph(), 43, KvType::f32, chunk, chunk / 2, graph::Activations::q8, *kernels),
          e.allocated());
      const Table got = Harness::run(e, 0, 40, 40);
      EXPECT_LE(relative_error(got, exact), 2e-2) << kernels->name << " " << chunk;
      EXPECT_GE(relative_error(got, exact), 1e-4) << "nothing was quantized";
    }
  }
}

// ---- Experts

struct RouteCase {
  graph::Route::Gating gating;
  u32 experts, used, groups = 1, groups_used = 1;
  bool normalize = false, bias = false, expert_scale = false;
  double low = -2, high = 2;
  bool by_best = false;
};

// Straight from the definition: the chosen experts and their weights.
Row routed(const RouteCase& c, const Row& logits, const Numbers& bias, const Numbers& expert_scale) {
  using Gating = graph::Route::Gating;
  Row scores = logits;
  double sum = 0;
  for (double logit : logits) sum += std::exp(logit);
  for (double& score : scores) {
    if (c.gating == Gating::softmax) score = std::exp(score) / sum;
    if (c.gating == Gating::sigmoid) score = sigmoid_of(score);
  }
  Row ranks = scores;
  for (u32 e = 0; e < c.experts && c.bias; ++e) ranks[e] += bias[e];
  const u32 size = c.experts / c.groups;
  std::vector<std::pair<double, u32>> groups;
  for (u32 g = 0; g < c.groups; ++g) {
    Row group = slice(ranks, g * size, size);
    std::sort(group.rbegin(), group.rend());
    groups.push_back({-(group[0] + (size > 1 && !c.by_best ? group[1] : 0)), g});
  }
  std::sort(groups.begin(), groups.end());
  std::vector<std::pair<double, u32>> open;
  for (u32 n = 0; n < c.groups_used; ++n) {
    for (u32 e = groups[n].second * size; e < (groups[n].second + 1) * size; ++e) open.push_back({-ranks[e], e});
  }
  std::sort(open.begin(), open.end());
  Row chosen, weights;
  sum = 0;
  for (u32 s = 0; s < c.used; ++s) {
    const u32 e = open[s].second;
    chosen.push_back(e);
    weights.push_back(c.gating == Gating::softmax_after ? std::exp(scores[e]) : scores[e]);
    sum += weights.back();
  }
  for (u32 s = 0; s < c.used; ++s) {
    if (c.gating == Gating::softmax_after) weights[s] /= sum;
    if (c.normalize && c.gating != Gating::softmax_after) weights[s] /= std::max(sum, 6.103515625e-5);
    weights[s] *= double(2.5f) * (c.expert_scale ? expert_scale[u32(chosen[s])] : 1);
  }
  append(chosen, weights);
  return chosen;
}

void expect_route(const RouteCase& c) {
  SCOPED_TRACE(std::to_string(int(c.gating)) + ", " + std::to_string(c.used) + " of " + std::to_string(c.experts) +
               ", groups " + std::to_string(c.groups));
  Harness h;
  const Input logits = h.input(c.experts, c.low, c.high);
  const Numbers bias = c.bias ? h.numbers(1, c.experts) : Numbers{};
  const Numbers scale = c.expert_scale ? h.numbers(1, c.experts, 0.5, 2) : Numbers{};
  const auto out = h.g.route({.gating = c.gating,
                              .logits = logits.id,
                              .bias = bias.id,
                              .expert_scale = scale.id,
                              .used = c.used,
                              .groups = c.groups,
                              .groups_used = c.groups_used,
                              .by_best = c.by_best,
                              .normalize = c.normalize,
                              .scale = 2.5f});
  expect(h, h.g.join_columns(out.chosen, c.used, out.weights, c.used),
         [&](u32 t) { return routed(c, logits[t], bias, scale); });
}

TEST(Operations, Route) {
  using enum graph::Route::Gating;
  for (const auto gating : {softmax, sigmoid, softmax_after}) {
    expect_route({gating, 9, 1});
    expect_route({gating, 12, 4, 1, 1, true});
    expect_route({gating, 12, 4, 1, 1, false, true});
    expect_route({gating, 12, 3, 4, 2, true, true, true});
    expect_route({gating, 8, 4, 8, 5, false, false, true});
    expect_route({gating, 6, 6});
    expect_route({gating, 12, 3, 4, 2, false, false, false, -2, 2, true});
  }
  expect_route({sigmoid, 8, 2, 1, 1, true, false, false, -40, -30});  // weights whose sum is next to nothing
}

TEST(Operations, RoutesToDistinctExpertsWhateverTheLogits) {
  using enum graph::Route::Gating;
  const float nan = std::nanf(""), inf = float(infinity);
  const std::vector<std::vector<float>> rows{{nan, nan, nan, nan, nan, nan},
                                             {1, 1, 1, 1, 1, 1},
                                             {-inf, -inf, -inf, -inf, -inf, -inf},
                                             {nan, 3, inf, -inf, nan, 2}};
  for (const auto gating : {softmax, sigmoid, softmax_after}) {
    for (const auto& logits : rows) {
      RouteScratch<float> scratch(6, 3);
      float chosen[4], weights[4];
      route_token<float>({.gating = gating, .used = 4, .groups = 3, .groups_used = 2}, logits, nullptr, nullptr,
                         scratch, chosen, weights);
      std::sort(chosen, chosen + 4);
      for (u32 i = 0; i < 4; ++i) {
        EXPECT_TRUE(chosen[i] >= 0 && chosen[i] < 6);
        if (i > 0) EXPECT_LT(chosen[i - 1], chosen[i]);
      }
    }
  }
}

TEST(Operations, WeightedSum) {
  Harness h;
  const Input x = h.input(33), weights = h.input(3);
  expect(h, h.g.weighted_sum(x.id, weights.id), [&](u32 t) {
    Row out(11);
    for (u32 i = 0; i < 33; ++i) out[i % 11] += weights[t][i / 11] * x[t][i];
    return out;
  });
}

// ---- Attention

struct AttentionCase {
  graph::KvState state;
  u32 heads;
  float soft_cap = 0;
  bool causal = true, sinks = false;
  u32 tokens = 100;
};

struct AttentionModel {
  Harness h;
  AttentionCase c;
  Input q, again, k, v;
  Numbers sinks;

  explicit AttentionModel(const AttentionCase& of) : h(of.tokens), c(of) {
    const graph::KvState& s = c.state;
    q = h.input(c.heads * s.key_width), again = h.input(c.heads * s.key_width);
    k = h.input(s.heads * s.key_width);
    if (!s.values_in_keys) v = h.input(s.heads * s.value_width);
    if (c.sinks) sinks = h.numbers(1, c.heads, -1, 3);
  }

  // A second attention reads the state of the first.
  ValueId build() {
    const auto state = h.g.state(c.state);
    h.g.store_kv(state, k.id, c.state.values_in_keys ? ValueId::none : v.id);
    const auto attend = [&](ValueId query) {
      return h.g.attention({.state = state,
                            .q = query,
                            .sinks = sinks.id,
                            .heads = c.heads,
                            .scale = 0.4f,
                            .soft_cap = c.soft_cap,
                            .window = c.state.window,
                            .causal = c.causal});
    };
    const ValueId first = attend(q.id), second = attend(again.id);
    const u32 width = h.g.width(first);
    return h.g.join_columns(first, width, second, width);
  }

  bool sees(u32 t, u32 p) const {
    const u32 window = c.state.window;
    if (c.causal) return p <= t && (window == 0 || t - p < window);
    return window == 0 || (t > p ? t - p : p - t) <= window / 2;
  }
  Row head(const Row& query, u32 t, u32 index) const {
    const graph::KvState& s = c.state;
    const u32 kv = index / (c.heads / s.heads);
    double sum = c.sinks ? std::exp(sinks[index]) : 0;
    Row out(s.value_width);
    for (u32 p = 0; p < c.tokens; ++p) {
      if (!sees(t, p)) continue;
      const Row key = slice(k[p], kv * s.key_width, s.key_width);
      double score = double(0.4f) * dot_of(slice(query, index * s.key_width, s.key_width), key);
      if (c.soft_cap != 0) score = double(c.soft_cap) * std::tanh(score / double(c.soft_cap));
      sum += std::exp(score);
      for (u32 i = 0; i < s.value_width; ++i) {
        out[i] += std::exp(score) * (s.values_in_keys ? key[i] : v[p][kv * s.value_width + i]);
      }
    }
    for (double& value : out) value /= sum;
    return out;
  }
  Row expected(u32 t) const {
    Row out;
    for (const Input* query : {&q, &again}) {
      for (u32 index = 0; index < c.heads; ++index) append(out, head((*query)[t], t, index));
    }
    return out;
  }
};

std::vector<AttentionCase> attention_cases() {
  return {{{2, 8, 8}, 4},
          {{2, 24, 8}, 6},
          {{1, 5, 13}, 3, 1.5f},
          {{2, 8, 8, 20}, 4},
          {{1, 16, 24, 9}, 2, 2, true, true},
          {{1, 16, 16, 1}, 2},
          {{2, 8, 8}, 2, 0, true, true},
          {{1, 24, 16, 0, true}, 5},
          {{1, 48, 40, 30, true}, 2, 0, true, true},
          {{2, 8, 8}, 4, 0, false},
          {{2, 8, 8, 21}, 4, 0, false, true}};
}

TEST(Operations, Attention) {
  u32 number = 0;
  for (const AttentionCase& c : attention_cases()) {
    SCOPED_TRACE("case " + std::to_string(number++));
    AttentionModel m(c);
    const ValueId out = m.build();
    expect(m.h, out, [&](u32 t) { return m.expected(t); }, c.causal);
  }
}

TEST(Operations, AttentionOverQuantizedStates) {
  u32 number = 0;
  for (const AttentionCase& c : attention_cases()) {
    SCOPED_TRACE("case " + std::to_string(number++));
    AttentionModel m(c);
    m.h.output(m.build());
    Table expected;
    for (u32 t = 0; t < c.tokens; ++t) expected.push_back(m.expected(t));
    for (const auto& [type, most] : {std::pair{KvType::f16, 1e-3}, {KvType::q8, 2e-2}, {KvType::q4, 0.3}}) {
      for (const u32 chunk : {c.tokens, 9u}) {
        if (!c.causal && chunk < c.tokens) continue;
        EXPECT_LE(relative_error(m.h.rows<float>({chunk, {c.tokens}}, type), expected), most) << chunk;
        EXPECT_LE(relative_error(m.h.rows<double>({chunk, {c.tokens}}, type), expected), most) << chunk;
      }
      auto e = m.h.executor<float>(9, type);
      EXPECT_EQ(Executor<float>::footprint(m.h.graph(), c.tokens + 3, type, 9, 4), e.allocated());
    }
  }
}

TEST(Operations, ARingHoldsTheWindowAndTheChunk) {
  AttentionModel m({{2, 8, 8, 20}, 4});
  m.h.output(m.build());
  EXPECT_EQ(m.h.executor<float>(9).allocated().kv_cache, 2u * (20 + 9) * (8 + 8) * 4);
  EXPECT_EQ(m.h.executor<float>(90).allocated().kv_cache, 2u * 103 * (8 + 8) * 4);
}

// ---- Recurrences

Table run_conv(const Input& x, const Numbers& w, const Numbers& bias, u32 kernel) {
  Table out;
  for (u32 t = 0; t < x.rows.size(); ++t) {
    Row row;
    for (u32 c = 0; c < x[t].size(); ++c) {
      double sum = bias.values.empty() ? 0 : bias[c];
      for (u32 j = 0; j < kernel; ++j) {
        if (t + j + 1 >= kernel) sum += w[c * kernel + j] * x[t + j + 1 - kernel][c];
      }
      row.push_back(sum);
    }
    out.push_back(row);
  }
  return out;
}

TEST(Operations, Conv1d) {
  for (const u32 kernel : {1u, 2u, 4u, 12u}) {
    for (const bool with_bias : {false, true}) {
      SCOPED_TRACE(kernel);
      Harness h(100);
      const Input x = h.input(13);
      const Numbers w = h.numbers(13, kernel), bias = with_bias ? h.numbers(1, 13) : Numbers{};
      const Table expected = run_conv(x, w, bias, kernel);
      expect(h, h.g.conv1d(x.id, w.id, bias.id), [&](u32 t) { return expected[t]; });
    }
  }
}

struct Delta {
  Harness h{100};
  u32 key_heads, value_heads, keys = 6, values = 5;
  bool neighbours;
  Input q, k, v, decay, beta;

  Delta(u32 kh, u32 vh, bool share) : key_heads(kh), value_heads(vh), neighbours(share) {
    q = h.input(kh * keys, -0.5, 0.5), k = h.input(kh * keys, -0.5, 0.5), v = h.input(vh * values);
    decay = h.input(vh, -0.3, 0), beta = h.input(vh, 0, 1);
  }
  ValueId build() {
    return h.g.delta_rule({.q = q.id,
                           .k = k.id,
                           .v = v.id,
                           .decay = decay.id,
                           .beta = beta.id,
                           .key_heads = key_heads,
                           .value_heads = value_heads,
                           .neighbours_share = neighbours});
  }
  Table expected() const {
    Table out(100, Row(value_heads * values));
    for (u32 head = 0; head < value_heads; ++head) {
      const u32 shared = neighbours ? head / (value_heads / key_heads) : head % key_heads;
      Table s(keys, Row(values));
      for (u32 t = 0; t < 100; ++t) {
        const Row key = slice(k[t], shared * keys, keys), query = slice(q[t], shared * keys, keys);
        Row seen(values);
        for (u32 i = 0; i < keys; ++i) {
          for (u32 j = 0; j < values; ++j) s[i][j] *= std::exp(decay[t][head]), seen[j] += s[i][j] * key[i];
        }
        for (u32 i = 0; i < keys; ++i) {
          for (u32 j = 0; j < values; ++j) {
            s[i][j] += key[i] * beta[t][head] * (v[t][head * values + j] - seen[j]);
            out[t][head * values + j] += s[i][j] * query[i];
          }
        }
      }
    }
    return out;
  }
};

TEST(Operations, DeltaRule) {
  for (const auto& [keys, values, share] :
       {std::tuple{2u, 2u, false}, {2u, 6u, false}, {2u, 6u, true}, {1u, 3u, true}}) {
    SCOPED_TRACE(values);
    Delta d(keys, values, share);
    const Table expected = d.expected();
    expect(d.h, d.build(), [&](u32 t) { return expected[t]; });
  }
}

// decays: of a head.
void expect_scan(u32 heads, u32 width, u32 groups, bool decays) {
  SCOPED_TRACE(std::to_string(heads) + " heads of " + std::to_string(width));
  constexpr u32 size = 7;
  Harness h(100);
  const Input x = h.input(heads * width), dt = h.input(heads, 0, 0.5), b = h.input(groups * size),
              c = h.input(groups * size);
  const Numbers a = decays ? h.numbers(heads, size, -1, 0) : h.numbers(1, heads, -1, 0);
  const ValueId out =
      h.g.scan({.x = x.id, .dt = dt.id, .b = b.id, .c = c.id, .a = a.id, .heads = heads, .groups = groups});
  Table expected(100, Row(heads * width));
  for (u32 column = 0; column < heads * width; ++column) {
    const u32 head = column / width, group = head / (heads / groups);
    Row s(size);
    for (u32 t = 0; t < 100; ++t) {
      for (u32 n = 0; n < size; ++n) {
        s[n] = std::exp(dt[t][head] * (decays ? a[head * size + n] : a[head])) * s[n] +
               dt[t][head] * x[t][column] * b[t][group * size + n];
        expected[t][column] += s[n] * c[t][group * size + n];
      }
    }
  }
  expect(h, out, [&](u32 t) { return expected[t]; });
}

TEST(Operations, Scan) {
  expect_scan(4, 5, 2, false);
  expect_scan(3, 8, 1, false);
  expect_scan(9, 1, 1, true);
  expect_scan(4, 3, 4, true);
}

// ---- Going back

Table tail_of(const Table& rows, u32 from) { return {rows.begin() + from, rows.end()}; }

TEST(Operations, ARecurrenceGoesBackToItsCheckpoint) {
  Delta d(2, 6, false);
  d.h.output(d.build());
  const Table expected = d.expected();
  auto e = d.h.executor<double>(8);
  EXPECT_EQ(e.resumable(50), 0u);
  Harness::run(e, 0, 40, 40);
  EXPECT_EQ(e.resumable(39), 0u);
  EXPECT_EQ(e.resumable(40), 40u);
  EXPECT_EQ(e.resumable(90), 40u);
  e.checkpoint_prompt();
  Harness::run(e, 40, 70, 30);
  EXPECT_EQ(e.resumable(70), 70u);
  EXPECT_EQ(e.resumable(69), 40u);
  EXPECT_LE(relative_error(Harness::run(e, 40, 100, 60), tail_of(expected, 40)), 1e-12);

  // A run that is dropped in the middle of a chunk.
  std::vector<u32> other(20, 3);
  for (const u64 multiply_adds : {1u, 700u, 2000u, 3000u}) {
    e.begin(other, 40, Logits::all);
    ASSERT_FALSE(e.advance(multiply_adds));
    EXPECT_EQ(e.resumable(59), 40u);
  }
  EXPECT_LE(relative_error(Harness::run(e, 40, 100, 13), tail_of(expected, 40)), 1e-12);

  // Another text from before the checkpoint on takes it away.
  Harness::run(e, 0, 10, 10);
  EXPECT_EQ(e.resumable(90), 10u);
  EXPECT_EQ(e.resumable(9), 0u);
  EXPECT_LE(relative_error(Harness::run(e, 0, 100, 100), expected), 1e-12);
}

TEST(Operations, AWindowGoesBackAsFarAsItsRingHolds) {
  AttentionModel m({{2, 8, 8, 20}, 4});
  m.h.output(m.build());
  Table expected;
  for (u32 t = 0; t < 100; ++t) expected.push_back(m.expected(t));
  auto e = m.h.executor<double>(8);  // room for 28 positions
  Harness::run(e, 0, 28, 28);
  EXPECT_EQ(e.resumable(5), 5u);  // nothing is lost yet
  Harness::run(e, 28, 60, 32);
  EXPECT_EQ(e.resumable(60), 60u);
  EXPECT_EQ(e.resumable(51), 51u);  // sees 32 and those after it, as the ring does
  EXPECT_EQ(e.resumable(50), 0u);
  EXPECT_LE(relative_error(Harness::run(e, 51, 100, 49), tail_of(expected, 51)), 1e-12);

  // After the chunk that was dropped every position before it is still whole.
  std::vector<u32> other(20, 3);
  e.begin(std::span(other).first(10), 91, Logits::none);
  EXPECT_EQ(e.resumable(91), 91u);
  Harness::run(e, 0, 60, 60);
  const std::vector<u32> eight(8, 3);
  e.begin(eight, 60, Logits::all);
  ASSERT_FALSE(e.advance(3000));
  EXPECT_EQ(e.resumable(60), 60u);
  EXPECT_LE(relative_error(Harness::run(e, 60, 100, 40), tail_of(expected, 60)), 1e-12);
}

TEST(Operations, FullStatesGoBackAnywhere) {
  AttentionModel m({{2, 8, 8}, 4});
  m.h.output(m.build());
  auto e = m.h.executor<float>(8);
  Harness::run(e, 0, 60, 60);
  for (const u32 position : {0u, 1u, 17u, 60u}) EXPECT_EQ(e.resumable(position), position);
}

TEST(OperationsDeathTest, RunsStartOnlyWhereTheStatesAllow) {
  Delta d(2, 2, false);
  d.h.output(d.build());
  auto e = d.h.executor<float>(8);
  Harness::run(e, 0, 10, 10);
  EXPECT_DEATH(Harness::run(e, 9, 12, 3), "resumable");
  EXPECT_DEATH(Harness::run(e, 11, 12, 1), "resumable");
  AttentionModel encoder({{2, 8, 8}, 4, 0, false});
  encoder.h.output(encoder.build());
  auto whole = encoder.h.executor<float>(8);
  EXPECT_DEATH(Harness::run(whole, 0, 9, 9), "causal");
}

}  // namespace
}  // namespace pronk::cpu
