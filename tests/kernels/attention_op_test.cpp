// Head norms, rotation, the KV cache and attention over it, against the CPU's operations in double.
#include <bit>

#include "base/half.h"
#include "cpu/attention.h"
#include "support/op_case_runner.h"

namespace pronk::test {
namespace {

using graph::KvType;

using graph::KvTypes;
using kernels::Operand;

struct Heads {
  u32 query = 0, kv = 0, dim = 0;  // heads, floats a head
  u32 rotated = 0;
  graph::RopePairs pairs = graph::RopePairs::adjacent;
  float scale = 0;

  kernels::HeadShape shape() const { return {.query = query, .kv = kv, .key = dim, .value = dim}; }
};

std::string name(KvType type) {
  constexpr const char* names[] = {"f32", "f16", "q8", "q4"};
  return names[u32(type)];
}
std::string name(const Heads& heads, KvTypes kv) {
  return "heads " + std::to_string(heads.query) + "/" + std::to_string(heads.kv) + " of " + std::to_string(heads.dim) +
         " rotated " + std::to_string(heads.rotated) +
         (heads.pairs == graph::RopePairs::adjacent ? " adjacent" : " halves") + " " + name(kv.k) + " " + name(kv.v);
}

graph::RopeTable rotation(const Heads& heads) {
  graph::RopeTable rotation{.pairs = heads.pairs};
  for (u32 i = 0; i < heads.rotated / 2; ++i) rotation.frequency.push_back(std::pow(10000.0, -2.0 * i / heads.rotated));
  rotation.magnitude = 1.125;
  return rotation;
}

// The rows of a cache, read and made up here as graph/kv_type.h describes them.
struct Layout {
  KvType type;  // as stored
  u32 dim, block;
  u64 row_bytes;

  Layout(KvType kv, u32 dim) : type(kv), dim(dim), block(dim < 64 ? (dim + 7) / 8 * 4 : 32) {
    if (kv == KvType::q4 && dim < 32) type = KvType::q8;
    row_bytes = type == KvType::f32   ? 4 * dim
                : type == KvType::f16 ? 2 * dim
                                      : scales_at() + (dim + 2 * block - 1) / (2 * block) * 4;
  }
  bool quantized() const { return type == KvType::q8 || type == KvType::q4; }
  u32 scales_at() const { return type == KvType::q8 ? dim : (dim + 7) / 8 * 4; }

  std::vector<float> floats(const Bytes& bytes, u64 rows) const {
    const auto half = [&](u64 at) { return f16_to_f32(u16(bytes[at] | bytes[at + 1] << 8)); };
    std::vector<float> values = type == KvType::f32 ? as<float>(bytes) : std::vector<float>();
    values.resize(rows * dim);
    for (u64 i = 0; i < (type == KvType::f32 ? 0 : rows * dim); ++i) {
      const u64 row = i / dim * row_bytes, column = i % dim;
      if (type == KvType::f16) {
        values[i] = half(row + 2 * column);
      } else {
        const u8 byte = bytes[row + (type == KvType::q8 ? column : column / 2)];
        const int n = type == KvType::q8 ? i8(byte) : (byte >> (column % 2 * 4) & 15) - 8;
        values[i] = float(n) * half(row + scales_at() + column / block * 2);
      }
    }
    return values;
  }

  // Numbers around 1; integers of all sizes, scales of both signs.
  Bytes made_up(u64 rows, u32 seed) const {
    const auto values = random_floats(rows * dim, seed);
    if (type == KvType::f32) return bytes_of(values);
    Bytes bytes(align_up(rows * row_bytes, 16));
    std::mt19937 random(seed);
    for (u8& byte : bytes) byte = u8(random());
    const auto put = [&](u64 at, float value) {
      const u16 half = f32_to_f16(value);
      std::memcpy(&bytes[at], &half, sizeof half);
    };
    for (u64 i = 0; i < rows * dim; ++i) {
      const u64 row = i / dim * row_bytes, column = i % dim;
      const float unit = type == KvType::q8 ? 64 : 5;
      if (type == KvType::f16) put(row + 2 * column, values[i]);
      if (quantized() && column % block == 0) put(row + scales_at() + column / block * 2, values[i] / unit);
    }
    return bytes;
  }

  // The largest error that a stored row may have in each number.
  std::vector<double> bounds(std::span<const double> row) const {
    std::vector<double> bounds(dim);
    for (u32 i = 0; i < dim; ++i) {
      double largest = 0;
      for (u32 j = i / block * block; j < std::min(dim, i / block * block + block); ++j)
        largest = std::max(largest, std::abs(row[j]));
      if (type == KvType::f16) bounds[i] = 0x1p-11 * std::abs(row[i]);
      if (type == KvType::q8) bounds[i] = (0.5 + 127 * 0x1p-11) * largest / 127;
      // 8 · scale has no integer on the side that the largest number is not on.
      if (type == KvType::q4) bounds[i] = ((std::abs(row[i]) > 7 * largest / 8 ? 1 : 0.5) + 8 * 0x1p-11) * largest / 8;
      bounds[i] += 4e-6 * largest;  // of the arithmetic before
    }
    return bounds;
  }
};

// Where keys are quantized, q and k meet as H q and H k; H is made of ± 1/√size, by the parity of i & j.
std::vector<double> transformed(std::span<const double> head, KvType keys) {
  std::vector<double> out(head.begin(), head.end());
  if (keys == KvType::f32 || keys == KvType::f16) return out;
  u32 size = 1;
  while (head.size() % (2 * size) == 0) size *= 2;
  for (u32 i = 0; i < head.size(); ++i) {
    out[i] = 0;
    for (u32 j = 0; j < size; ++j) {
      const double number = head[i / size * size + j] / std::sqrt(double(size));
      out[i] += std::popcount(i % size & j) % 2 ? -number : number;
    }
  }
  return out;
}

class AttentionOp : public OpCaseTest {
 protected:
  static void check_rotate(const Heads& heads, KvTypes kv, bool q_norm, bool k_norm, u32 position, u32 tokens,
                           u32 seed);
  static void check_attention(const Heads& heads, KvTypes kv, u32 position, u32 tokens, bool decode, u32 seed);
  static void check_chain(const Heads& heads, KvTypes kv, u32 tokens, double bound, u32 seed);
};
class QuantizedCacheOp : public AttentionOp {};
class CacheTypesOp : public AttentionOp {};

// ---- rotate_store

kernels::RotateStore rotate_store(const Heads& heads, KvTypes kv, bool q_norm, bool k_norm, float eps, u32 stride,
                                  u32 context) {
  return {.query_heads = heads.query,
          .kv_heads = heads.kv,
          .head = heads.dim,
          .pairs = heads.pairs,
          .rotated = heads.rotated,
          .kv = kv,
          .q_norm = q_norm,
          .k_norm = k_norm,
          .eps = eps,
          .qkv = {.base = 0, .stride = stride},
          .capacity = context};
}

// The row after norms and rotation, [q heads | k heads | v heads].
std::vector<double> rotated_row(const Heads& heads, std::span<const float> row, const std::vector<float>* q_norm,
                                const std::vector<float>* k_norm, float eps, u32 position) {
  std::vector<double> values(row.begin(), row.end());
  const graph::RopeTable r = rotation(heads);
  std::vector<double> cosines, sines;
  for (const double frequency : r.frequency) {
    cosines.push_back(r.magnitude * std::cos(position * frequency));
    sines.push_back(r.magnitude * std::sin(position * frequency));
  }
  const auto part = [&](u32 first, u32 count, const std::vector<float>* norm) {
    const u32 width = count * heads.dim;
    const cpu::Rows<double> rows{values.data() + first * heads.dim, 1, width, width};
    if (norm) {
      const std::vector<double> weight(norm->begin(), norm->end());
      cpu::norm<double>({.x = {}, .group = heads.dim, .eps = eps}, rows, weight, {}, rows);
    }
    std::vector<double> out(width);
    cpu::rope<double>(rows, r, heads.dim, 0, {cosines.data(), sines.data()}, {out.data(), 1, width, width});
    std::copy(out.begin(), out.end(), rows.data);
  };
  part(0, heads.query, q_norm);
  part(heads.query, heads.kv, k_norm);
  return values;
}

// Rows that were to be written are near what they should be, all others the same bytes as before.
void expect_stored(const Layout& layout, const Bytes& before, const Bytes& after, u64 rows,
                   const std::map<u64, std::vector<double>>& written) {
  const auto got = layout.floats(after, rows);
  for (u64 row = 0; row < rows; ++row) {
    const auto expected = written.find(row);
    if (expected == written.end()) {
      const u64 at = row * layout.row_bytes;
      ASSERT_TRUE(std::equal(&before[at], &before[at] + layout.row_bytes, &after[at])) << "wrote row " << row;
      continue;
    }
    const auto bounds = layout.bounds(expected->second);
    for (u32 i = 0; i < layout.dim; ++i) {
      ASSERT_NEAR(got[row * layout.dim + i], expected->second[i], bounds[i]) << "row " << row << " column " << i;
    }
  }
}

void AttentionOp::check_rotate(const Heads& heads, KvTypes kv, bool q_norm, bool k_norm, u32 position, u32 tokens,
                               u32 seed) {
  SCOPED_TRACE(name(heads, kv) + (q_norm ? " q norm" : "") + (k_norm ? " k norm" : "") + " position " +
               std::to_string(position));
  const u32 context = position + tokens + 3, width = (heads.query + 2 * heads.kv) * heads.dim, stride = width + 8;
  const u64 rows = u64(heads.kv) * context;
  const Layout k_layout(kv.k, heads.dim), v_layout(kv.v, heads.dim);
  const auto q_weight = random_floats(heads.dim, seed, 0.3f, 1), k_weight = random_floats(heads.dim, seed + 1, 0.3f, 1);
  const auto qkv = random_floats(u64(tokens) * stride, seed + 2, 1.5f);
  const Bytes k_old = k_layout.made_up(rows, seed + 3), v_old = v_layout.made_up(rows, seed + 4);
  constexpr float eps = 1e-6f;
  kernels::StepState state;
  state.position = position, state.rows = tokens;
  std::vector<Bytes> memory{params_bytes(state),
                            heads.rotated > 0 ? bytes_of(kernels::rope_table(rotation(heads), {}, context)) : Bytes(16),
                            bytes_of(q_weight),
                            bytes_of(k_weight),
                            bytes_of(qkv),
                            k_old,
                            v_old};
  const kernels::Launch launch =
      kernels::lower(rotate_store(heads, kv, q_norm, k_norm, eps, stride, context),
                     {Operand(0), Operand(1), Operand(2), Operand(3), Operand(4), Operand(5), Operand(6)});
  const KernelRunner::Step step = KernelRunner::step_of(launch, tokens, memory);
  ASSERT_TRUE(runner().run(memory, {step}));

  const auto got = as<float>(memory[4]);
  std::vector<float> q_got;
  std::vector<double> q_expected;
  std::map<u64, std::vector<double>> k_rows, v_rows;
  for (u32 t = 0; t < tokens; ++t) {
    const float* row = &qkv[u64(t) * stride];
    const auto expected =
        rotated_row(heads, {row, width}, q_norm ? &q_weight : nullptr, k_norm ? &k_weight : nullptr, eps, position + t);
    const auto head = [&](u32 at) { return std::span(expected).subspan(at * heads.dim, heads.dim); };
    q_got.insert(q_got.end(), &got[u64(t) * stride], &got[u64(t) * stride] + heads.query * heads.dim);
    for (u32 h = 0; h < heads.query; ++h) {
      const auto q = transformed(head(h), kv.k);
      q_expected.insert(q_expected.end(), q.begin(), q.end());
    }
    for (u32 h = 0; h < heads.kv; ++h) {
      const auto v = head(heads.query + heads.kv + h);
      k_rows[u64(h) * context + position + t] = transformed(head(heads.query + h), kv.k);
      v_rows[u64(h) * context + position + t] = {v.begin(), v.end()};
    }
  }
  EXPECT_LE(relative_error(q_got, q_expected), 2e-6);
  expect_stored(k_layout, k_old, memory[5], rows, k_rows);
  expect_stored(v_layout, v_old, memory[6], rows, v_rows);
}

TEST_F(AttentionOp, RotateStore) {
  u32 round = 0;
  for (const u32 dim : {4u, 8u, 12u, 64u, 80u, 128u, 256u}) {
    for (const auto pairs : {graph::RopePairs::adjacent, graph::RopePairs::halves}) {
      for (const u32 rotated : {dim, dim / 2 / 2 * 2, 2u, 0u}) {
        const Heads heads{.query = 1 + round % 6 * 2,
                          .kv = 1 + round % 3,
                          .dim = dim,
                          .rotated = rotated,
                          .pairs = pairs,
                          .scale = 1};
        const bool q_norm = round % 4 == 1 || round % 4 == 2, k_norm = round % 4 == 1 || round % 4 == 3;
        const u32 positions[] = {0, 61, 1000, 127};
        check_rotate(heads, round % 2 ? KvType::f16 : KvType::f32, q_norm, k_norm, positions[round % 4], 1 + round % 7,
                     round);
        ++round;
      }
    }
  }
}

// The two short tables at positions far beyond what f32 angles could carry.
TEST_F(AttentionOp, RotationIsExactAtLargePositions) {
  const Heads heads{.query = 2, .kv = 1, .dim = 64, .rotated = 64, .pairs = graph::RopePairs::halves, .scale = 1};
  check_rotate(heads, KvType::f32, false, false, 131070, 2, 1);
}

// ---- attention

// Of queries that rotate_store has made, whose place the results take.
std::vector<kernels::Launch> in_place(const Heads& heads, KvTypes kv, const kernels::AttentionTile& tile, u32 stride,
                                      u32 context, const kernels::AttentionOperands& operands) {
  const kernels::Columns columns{.base = 0, .stride = stride};
  return kernels::lower(kernels::Attention{.heads = heads.shape(),
                                           .kv = kv,
                                           .scale = heads.scale,
                                           .rotated = true,
                                           .tile = tile,
                                           .q = columns,
                                           .out = columns,
                                           .capacity = context},
                        operands);
}

// Rows of q: [tokens][stride]; the cache [kv head][position][dim].
template <class Real>
std::vector<double> reference(const Heads& heads, const std::vector<Real>& k, const std::vector<Real>& v, u32 context,
                              const std::vector<Real>& q, u32 stride, u32 position, u32 tokens) {
  std::vector<double> out;
  std::vector<double> weights;
  for (u32 t = 0; t < tokens; ++t) {
    for (u32 head = 0; head < heads.query; ++head) {
      const u32 kv = head / (heads.query / heads.kv), length = position + t + 1;
      const auto row = [&](const std::vector<Real>& cache, u32 at) {
        return &cache[(u64(kv) * context + at) * heads.dim];
      };
      const Real* query = &q[u64(t) * stride + head * heads.dim];
      weights.assign(length, 0);
      double largest = -1e300, sum = 0;
      for (u32 at = 0; at < length; ++at) {
        for (u32 d = 0; d < heads.dim; ++d) weights[at] += double(query[d]) * row(k, at)[d];
        weights[at] *= heads.scale;
        largest = std::max(largest, weights[at]);
      }
      for (double& weight : weights) sum += weight = std::exp(weight - largest);
      std::vector<double> values(heads.dim);
      for (u32 at = 0; at < length; ++at) {
        for (u32 d = 0; d < heads.dim; ++d) values[d] += weights[at] / sum * row(v, at)[d];
      }
      out.insert(out.end(), values.begin(), values.end());
    }
  }
  return out;
}

void AttentionOp::check_attention(const Heads& heads, KvTypes kv, u32 position, u32 tokens, bool decode, u32 seed) {
  SCOPED_TRACE(name(heads, kv) + (decode ? " decode" : " prefill") + " position " + std::to_string(position) +
               " tokens " + std::to_string(tokens));
  const u32 context = position + tokens + 5, stride = heads.query * heads.dim + 12;
  const u64 rows = u64(heads.kv) * context;
  const Layout k_layout(kv.k, heads.dim), v_layout(kv.v, heads.dim);
  const Bytes k = k_layout.made_up(rows, seed), v = v_layout.made_up(rows, seed + 1);
  const auto q = random_floats(u64(tokens) * stride, seed + 2, 1.5f);
  kernels::StepState state;
  state.position = position, state.rows = tokens;
  const kernels::AttentionTile tile =
      kernels::attention_tile(heads.shape(), decode ? 1 : 256, decode, runner().device().features());
  std::vector<Bytes> memory{params_bytes(state), k, v, bytes_of(q),
                            Bytes(decode ? kernels::attention_partial_bytes(heads.shape(), tile.splits) : 16)};
  std::vector<KernelRunner::Step> steps;
  for (const kernels::Launch& launch : in_place(heads, kv, tile, stride, context,
                                                {.state = Operand(0),
                                                 .k_cache = Operand(1),
                                                 .v_cache = Operand(2),
                                                 .q = Operand(3),
                                                 .sinks = Operand(1),
                                                 .partial = Operand(4),
                                                 .out = Operand(3)}))
    steps.push_back(KernelRunner::step_of(launch, tokens, memory));
  ASSERT_TRUE(runner().run(memory, steps));

  const auto after = as<float>(memory[3]);
  std::vector<float> got;
  for (u32 t = 0; t < tokens; ++t) {
    const float* row = &after[u64(t) * stride];
    got.insert(got.end(), row, row + heads.query * heads.dim);
    for (u32 i = heads.query * heads.dim; i < stride; ++i) ASSERT_EQ(row[i], q[u64(t) * stride + i]) << "wrote outside";
  }
  const auto expected =
      reference(heads, k_layout.floats(k, rows), v_layout.floats(v, rows), context, q, stride, position, tokens);
  // The largest scores are about four times as large as they are on average: their rounding alone is an error of
  // weights.
  const double score_rounding = 4 * heads.scale * 1.5 * std::sqrt(double(heads.dim)) / (1 << 24);
  EXPECT_LE(relative_error(got, expected), std::max(tolerance(heads.dim), score_rounding));
}

// A prompt of `tokens` and one more token, each stored and then attended to, against attention over what was never
// stored.
void AttentionOp::check_chain(const Heads& heads, KvTypes kv, u32 tokens, double bound, u32 seed) {
  SCOPED_TRACE(name(heads, kv) + " chain");
  const u32 context = tokens + 3, width = (heads.query + 2 * heads.kv) * heads.dim;
  const auto qkv = random_floats(u64(tokens + 1) * width, seed, 1.5f);
  const std::vector<float> prompt(qkv.begin(), qkv.end() - width), next(qkv.end() - width, qkv.end());
  kernels::StepState first, second;
  first.rows = tokens, second.rows = 1, second.position = tokens;
  const u64 rows = u64(heads.kv) * context;
  const gpu::Features features = runner().device().features();
  const kernels::AttentionTile tiles[] = {kernels::attention_tile(heads.shape(), 256, false, features),
                                          kernels::attention_tile(heads.shape(), 1, true, features)};
  std::vector<Bytes> memory{params_bytes(first),
                            params_bytes(second),
                            bytes_of(kernels::rope_table(rotation(heads), {}, context)),
                            Bytes(16),
                            bytes_of(prompt),
                            bytes_of(next),
                            Layout(kv.k, heads.dim).made_up(rows, seed + 1),
                            Layout(kv.v, heads.dim).made_up(rows, seed + 2),
                            Bytes(kernels::attention_partial_bytes(heads.shape(), tiles[1].splits))};
  const Operand nothing{3}, k_cache{6}, v_cache{7}, partial{8};
  std::vector<KernelRunner::Step> steps;
  for (const u32 step : {0u, 1u}) {  // the prompt, the token
    const Operand state{step}, qkv{4 + step};
    const u32 count = step == 0 ? tokens : 1;
    const auto add = [&](const kernels::Launch& launch) {
      steps.push_back(KernelRunner::step_of(launch, count, memory));
    };
    add(kernels::lower(rotate_store(heads, kv, false, false, 0, width, context),
                       {state, Operand(2), nothing, nothing, qkv, k_cache, v_cache}));
    for (const kernels::Launch& launch :
         in_place(heads, kv, tiles[step], width, context, {state, k_cache, v_cache, qkv, nothing, partial, qkv}))
      add(launch);
  }
  ASSERT_TRUE(runner().run(memory, steps));

  std::vector<double> k(rows * heads.dim), v(rows * heads.dim), q;
  std::vector<float> got;
  for (u32 t = 0; t <= tokens; ++t) {
    const auto row = rotated_row(heads, std::span(qkv).subspan(u64(t) * width, width), nullptr, nullptr, 0, t);
    q.insert(q.end(), row.begin(), row.end());
    for (u32 h = 0; h < heads.kv; ++h) {
      std::copy_n(&row[(heads.query + h) * heads.dim], heads.dim, &k[(u64(h) * context + t) * heads.dim]);
      std::copy_n(&row[(heads.query + heads.kv + h) * heads.dim], heads.dim, &v[(u64(h) * context + t) * heads.dim]);
    }
    const auto after = as<float>(memory[t < tokens ? 4 : 5]);
    const float* out = &after[t < tokens ? u64(t) * width : 0];
    got.insert(got.end(), out, out + heads.query * heads.dim);
  }
  EXPECT_LE(relative_error(got, reference(heads, k, v, context, q, width, 0, tokens + 1)), bound);
}

Heads heads_of(u32 group, u32 kv, u32 dim) {
  return {.query = group * kv,
          .kv = kv,
          .dim = dim,
          .rotated = dim,
          .pairs = graph::RopePairs::halves,
          .scale = 1 / std::sqrt(float(dim))};
}

// Each shape has kernels of its own. Sanitizers see some of them, as a driver's compiler has most of the work.
#if __has_feature(address_sanitizer)
constexpr u32 widest = 256;
constexpr u32 dims[] = {12, 64, 80};
constexpr u32 groups[] = {1, 3, 16};
#else
constexpr u32 widest = 1024;
constexpr u32 dims[] = {8, 12, 64, 80, 128, 256};
constexpr u32 groups[] = {1, 2, 3, 4, 7, 8, 16};
#endif

TEST_F(AttentionOp, Decode) {
  constexpr u32 lengths[] = {1, 2, 31, 63, 64, 65, 129, 300, 1000};
  u32 round = 0;
  for (const u32 dim : dims) {
    for (const u32 group : groups) {
      const Heads heads = heads_of(group, 1 + round % 3, dim);
      for (u32 i = 0; i < 2; ++i, ++round)
        check_attention(heads, round % 4 == 3 ? KvType::f16 : KvType::f32, lengths[round % 9] - 1, 1, true, round);
    }
  }
  for (const u32 length : lengths) check_attention(heads_of(2, 2, 64), KvType::f32, length - 1, 1, true, length);
}

TEST_F(AttentionOp, Prefill) {
  constexpr u32 positions[] = {0, 5, 64, 200, 0}, tokens[] = {1, 2, 9, 17, 64, 70, 33};
  u32 round = 0;
  for (const u32 dim : dims) {
    for (const u32 group : groups) {
      check_attention(heads_of(group, 1 + round % 2, dim), round % 4 == 3 ? KvType::f16 : KvType::f32,
                      positions[round % 5], tokens[round % 7], false, round);
      ++round;
    }
  }
  check_attention(heads_of(4, 2, 64), KvType::f16, 500, 130, false, 1);
}

// Scores that a softmax without its maximum could not hold.
TEST_F(AttentionOp, LargeScores) {
  Heads heads = heads_of(2, 1, 64);
  heads.scale = 20;
  check_attention(heads, KvType::f32, 299, 1, true, 3);
  check_attention(heads, KvType::f32, 100, 40, false, 4);
}

// ---- quantized caches

constexpr u32 quantized_dims[] = {4, 8, 12, 20, 32, 40, 64, 80, 128, 256};

TEST_F(QuantizedCacheOp, RotateStore) {
  u32 round = 0;
  for (const u32 dim : quantized_dims) {
    for (const KvTypes kv : {KvTypes(KvType::q8, KvType::q4), KvTypes(KvType::q4, KvType::q8)}) {
      const Heads heads{.query = 1 + round % 3 * 2,
                        .kv = 1 + round % 2,
                        .dim = dim,
                        .rotated = round % 3 ? dim : 2,
                        .pairs = graph::RopePairs::halves,
                        .scale = 1};
      check_rotate(heads, kv, round % 4 == 1, round % 4 >= 2, round % 5 * 31, 1 + round % 7, round);
      ++round;
    }
  }
}

TEST_F(QuantizedCacheOp, Attention) {
  u32 round = 0;
  for (const u32 dim : quantized_dims) {
    const bool decode = round % 4 < 2;
    const KvTypes kv = round % 2 ? KvTypes(KvType::q8, KvType::q4) : KvTypes(KvType::q4, KvType::q8);
    check_attention(heads_of(1 + round % 5, 1 + round % 2, dim), kv, 20 + 37 * round, decode ? 1 : 30, decode, round);
    ++round;
  }
}

// Each type of keys with each of values, but for those that no integers are in.
TEST_F(CacheTypesOp, StoreAndAttend) {
  constexpr KvType types[] = {KvType::f32, KvType::f16, KvType::q8, KvType::q4};
  constexpr double bounds[] = {4e-6, 1e-3, 1.2e-2, 1.8e-1};
  constexpr u32 dims[] = {64, 80, 128, 256, 8};
  for (u32 round = 0; round < 5; ++round) {
    for (u32 k = 0; k < 4; ++k) {
      const u32 v = (k + round) % 4;
      if (k < 2 && v < 2) continue;
      const auto bound = [&](KvType type) { return bounds[u32(Layout(type, dims[round]).type)]; };
      check_chain(heads_of(2, 1 + k % 2, dims[round]), {types[k], types[v]}, 50,
                  std::max(bound(types[k]), bound(types[v])), 4 * round + k);
    }
  }
}

// ---- attention with everything that graph::Attention can ask for

class PlainAttention : public OpCaseTest {
 protected:
  // A prompt in chunks and one more token, by StoreKv and Attention with a result of its own.
  static void check_plain(engine::AttentionSpec spec, u32 seed) {
    spec.fused = false;
    spec.decode = spec.causal;
    const bool exact = spec.kv == KvTypes(KvType::f32);
    spec.scale = (exact ? 1.0f : 0.25f) / std::sqrt(float(spec.heads.key));
    const gpu::Features features = runner().device().features();
    spec.prefill_tile = kernels::attention_tile(spec.heads, spec.tokens, false, features);
    spec.decode_tile = kernels::attention_tile(spec.heads, 1, true, features);
    if (seed % 2 == 0) spec.decode_tile.splits = 4;
    check(engine::attention_case(spec, seed));
  }
};

// The last chunks lie behind the end of the ring, some of them across it.
TEST_F(PlainAttention, WindowInARing) {
  u32 seed = 0;
  for (const u32 window : {1u, 5u, 64u, 100u}) {
    for (const u32 tokens : {1u, 7u, 33u}) {
      const u32 chunks = window / tokens + 3;
      check_plain({.heads = {.query = 4, .kv = 2, .key = 32, .value = 32},
                   .kv = KvType::f32,
                   .window = window,
                   .tokens = tokens,
                   .chunks = std::min(chunks, 20u)},
                  ++seed);
    }
  }
  check_plain({.heads = {.query = 6, .kv = 2, .key = 64, .value = 64},
               .kv = KvTypes(KvType::q8, KvType::q4),
               .window = 50,
               .tokens = 40,
               .chunks = 4},
              ++seed);
}

// A window that does not bind, a cache that holds all.
TEST_F(PlainAttention, WindowLargerThanTheContext) {
  check_plain({.heads = {.query = 2, .kv = 1, .key = 16, .value = 16}, .kv = KvType::f32, .window = 1000, .tokens = 70},
              1);
}

TEST_F(PlainAttention, SoftCapAndSinks) {
  u32 seed = 0;
  for (const float cap : {0.0f, 0.5f, 20.0f}) {
    for (const bool sinks : {false, true}) {
      check_plain({.heads = {.query = 8, .kv = 2, .key = 64, .value = 64},
                   .kv = KvType::f32,
                   .soft_cap = cap,
                   .window = seed % 2 ? 40u : 0u,
                   .sinks = sinks,
                   .tokens = 30,
                   .chunks = 3},
                  seed);
      ++seed;
    }
  }
}

TEST_F(PlainAttention, KeysAndValuesOfDifferentWidths) {
  u32 seed = 0;
  for (const auto [key, value] :
       {std::pair{192u, 128u}, {4u, 8u}, {12u, 100u}, {96u, 64u}, {1024u, 1024u}, {20u, 1024u}}) {
    for (const KvTypes kv : {KvTypes(KvType::f32), KvTypes(KvType::f16), KvTypes(KvType::q8, KvType::q4)}) {
      if (std::max(key, value) > widest) continue;
      if (key + value > 1000 && kv.k != KvType::q8) continue;  // they take long to compile
      check_plain({.heads = {.query = 3 * (1 + seed % 2), .kv = 1 + seed % 2, .key = key, .value = value},
                   .kv = kv,
                   .tokens = 40,
                   .chunks = 2},
                  seed);
      ++seed;
    }
  }
}

// Latent attention: one head of keys, whose first columns are the values.
TEST_F(PlainAttention, ValuesInKeys) {
  u32 seed = 0;
  for (const auto [key, value] : {std::pair{576u, 512u}, {48u, 32u}, {40u, 36u}}) {
    for (const KvType kv : {KvType::f32, KvType::f16, KvType::q8, KvType::q4}) {
      if (key > widest || (key > 500 && (kv == KvType::f16 || kv == KvType::q4))) continue;
      check_plain({.heads = {.query = 16, .kv = 1, .key = key, .value = value, .values_in_keys = true},
                   .kv = kv,
                   .tokens = 35,
                   .chunks = 2},
                  ++seed);
    }
  }
}

// Encoders: all tokens of the one step, or those within half a window.
TEST_F(PlainAttention, BothWays) {
  u32 seed = 0;
  for (const u32 window : {0u, 1u, 16u, 17u, 500u}) {
    for (const u32 tokens : {1u, 7u, 100u}) {
      check_plain({.heads = {.query = 4, .kv = 4, .key = 32, .value = 32},
                   .kv = KvType::f32,
                   .window = window,
                   .causal = false,
                   .tokens = tokens},
                  ++seed);
    }
  }
}

TEST_F(PlainAttention, StoreKv) {
  u32 seed = 0;
  for (const KvTypes kv : {KvTypes(KvType::f32), KvTypes(KvType::f16), KvTypes(KvType::f32, KvType::f16)}) {
    for (const auto [key, value] : {std::pair{64u, 64u}, {4u, 20u}, {576u, 512u}}) {
      kernels::StoreKv store{.heads = 1 + seed % 3, .key = key, .value = value, .kv = kv, .capacity = 11};
      check(engine::store_kv_case(store, seed * 9, 1 + seed % 11, seed));
      store.values_in_keys = key > value;
      check(engine::store_kv_case(store, 10, 3, seed));
      ++seed;
    }
  }
}

}  // namespace
}  // namespace pronk::test
