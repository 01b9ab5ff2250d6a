// Head norms, rotation, the KV cache and attention over it, against the CPU's operations in double.
#include <bit>

#include "base/half.h"
#include "cpu/attention.h"
#include "support/kernel_runner.h"

namespace pronk::test {
namespace {

using graph::Heads;
using graph::KvType;

using graph::KvTypes;

std::string name(KvType type) {
  constexpr const char* names[] = {"f32", "f16", "q8", "q4"};
  return names[u32(type)];
}
std::string name(const Heads& heads, KvTypes kv) {
  return "heads " + std::to_string(heads.query) + "/" + std::to_string(heads.kv) + " of " + std::to_string(heads.dim) +
         " rotated " + std::to_string(heads.rotated) +
         (heads.pairs == graph::RopePairs::adjacent ? " adjacent" : " halves") + " " + name(kv.k) + " " + name(kv.v);
}

graph::Rotation rotation(const Heads& heads) {
  graph::Rotation rotation;
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

class AttentionOp : public KernelTest {
 protected:
  static void check_rotate(const Heads& heads, KvTypes kv, bool q_norm, bool k_norm, u32 position, u32 tokens,
                           u32 seed);
  static void check_attention(const Heads& heads, KvTypes kv, u32 position, u32 tokens, bool decode, u32 seed);
  static void check_chain(const Heads& heads, KvTypes kv, u32 tokens, double bound, u32 seed);
};
class QuantizedCacheOp : public AttentionOp {};
class CacheTypesOp : public AttentionOp {};

// ---- rotate_store

// The row after norms and rotation, [q heads | k heads | v heads].
std::vector<double> rotated_row(const Heads& heads, std::span<const float> row, const std::vector<float>* q_norm,
                                const std::vector<float>* k_norm, float eps, u32 position) {
  std::vector<double> values(row.begin(), row.end());
  const graph::Rotation r = rotation(heads);
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
      cpu::rms_norm<double>(rows, weight.data(), heads.dim, eps, rows);
    }
    std::vector<double> out(width);
    cpu::rope<double>(rows, heads, cosines.data(), sines.data(), {out.data(), 1, width, width});
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
  kernels::RotateParams p;
  p.stride = stride / 4, p.q_heads = heads.query, p.kv_heads = heads.kv, p.context = context, p.eps = 1e-6f;
  kernels::StepState state;
  state.position = position, state.rows = tokens;
  std::vector<Bytes> memory{params_bytes(p),
                            params_bytes(state),
                            bytes_of(kernels::rope_table(rotation(heads), {}, context)),
                            bytes_of(q_weight),
                            bytes_of(k_weight),
                            bytes_of(qkv),
                            k_old,
                            v_old};
  const kernels::Grid grid{heads.query + 2 * heads.kv, tokens};
  ASSERT_TRUE(
      runner().run(memory, {{kernels::rotate_store(heads, q_norm, k_norm, kv), {0, 1, 2, 3, 4, 5, 6, 7}, grid}}));

  const auto got = as<float>(memory[5]);
  std::vector<float> q_got;
  std::vector<double> q_expected;
  std::map<u64, std::vector<double>> k_rows, v_rows;
  for (u32 t = 0; t < tokens; ++t) {
    const float* row = &qkv[u64(t) * stride];
    const auto expected = rotated_row(heads, {row, width}, q_norm ? &q_weight : nullptr, k_norm ? &k_weight : nullptr,
                                      p.eps, position + t);
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
  expect_stored(k_layout, k_old, memory[6], rows, k_rows);
  expect_stored(v_layout, v_old, memory[7], rows, v_rows);
}

TEST_F(AttentionOp, RotateStore) {
  u32 round = 0;
  for (const u32 dim : {4u, 8u, 12u, 64u, 80u, 128u, 256u}) {
    for (const auto pairs : {graph::RopePairs::adjacent, graph::RopePairs::halves}) {
      for (const u32 rotated : {dim, dim / 2 / 2 * 2, 2u}) {
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
  const u32 context = position + tokens + 5, stride = heads.query * heads.dim + 12, group = heads.query / heads.kv;
  const u64 rows = u64(heads.kv) * context;
  const Layout k_layout(kv.k, heads.dim), v_layout(kv.v, heads.dim);
  const Bytes k = k_layout.made_up(rows, seed), v = v_layout.made_up(rows, seed + 1);
  const auto q = random_floats(u64(tokens) * stride, seed + 2, 1.5f);
  kernels::AttentionParams p;
  p.group_heads = group, p.stride = stride / 4, p.context = context, p.scale = heads.scale;
  kernels::StepState state;
  state.position = position, state.rows = tokens;
  const u32 splits = decode ? kernels::attention_splits(heads) : 1;
  const u32 vectors = kernels::attention_vectors(heads, decode ? 1 : 256);
  std::vector<Bytes> memory{params_bytes(p),
                            params_bytes(state),
                            k,
                            v,
                            bytes_of(q),
                            Bytes(decode ? kernels::attention_partial_bytes(heads, splits) : 16)};
  std::vector<KernelRunner::Step> steps{{kernels::attention(heads, kv, vectors, splits),
                                         {0, 1, 2, 3, 4, 5},
                                         {splits, heads.kv, u32(ceil_div(u64(tokens) * group, vectors))}}};
  if (decode) steps.push_back({kernels::combine(heads, splits), {0, 1, 5, 4}, {heads.query}});
  ASSERT_TRUE(runner().run(memory, steps));

  const auto after = as<float>(memory[4]);
  std::vector<float> got;
  for (u32 t = 0; t < tokens; ++t) {
    const float* row = &after[u64(t) * stride];
    got.insert(got.end(), row, row + heads.query * heads.dim);
    for (u32 i = heads.query * heads.dim; i < stride; ++i) ASSERT_EQ(row[i], q[u64(t) * stride + i]) << "wrote outside";
  }
  const auto expected =
      reference(heads, k_layout.floats(k, rows), v_layout.floats(v, rows), context, q, stride, position, tokens);
  EXPECT_LE(relative_error(got, expected), tolerance(heads.dim));
}

// A prompt of `tokens` and one more token, each stored and then attended to, against attention over what was never
// stored.
void AttentionOp::check_chain(const Heads& heads, KvTypes kv, u32 tokens, double bound, u32 seed) {
  SCOPED_TRACE(name(heads, kv) + " chain");
  const u32 context = tokens + 3, width = (heads.query + 2 * heads.kv) * heads.dim, group = heads.query / heads.kv;
  const auto qkv = random_floats(u64(tokens + 1) * width, seed, 1.5f);
  const std::vector<float> prompt(qkv.begin(), qkv.end() - width), next(qkv.end() - width, qkv.end());
  kernels::RotateParams r;
  r.stride = width / 4, r.q_heads = heads.query, r.kv_heads = heads.kv, r.context = context;
  kernels::AttentionParams a;
  a.group_heads = group, a.stride = width / 4, a.context = context, a.scale = heads.scale;
  kernels::StepState first, second;
  first.rows = tokens, second.rows = 1, second.position = tokens;
  const u64 rows = u64(heads.kv) * context;
  const u32 splits = kernels::attention_splits(heads), many = kernels::attention_vectors(heads, 256),
            one_token = kernels::attention_vectors(heads, 1);
  std::vector<Bytes> memory{params_bytes(r),
                            params_bytes(a),
                            params_bytes(first),
                            params_bytes(second),
                            bytes_of(kernels::rope_table(rotation(heads), {}, context)),
                            Bytes(16),
                            bytes_of(prompt),
                            bytes_of(next),
                            Layout(kv.k, heads.dim).made_up(rows, seed + 1),
                            Layout(kv.v, heads.dim).made_up(rows, seed + 2),
                            Bytes(kernels::attention_partial_bytes(heads, splits))};
  const auto store = kernels::rotate_store(heads, false, false, kv);
  const u32 all = heads.query + 2 * heads.kv;
  ASSERT_TRUE(runner().run(memory, {{store, {0, 2, 4, 5, 5, 6, 8, 9}, {all, tokens}},
                                    {kernels::attention(heads, kv, many, 1),
                                     {1, 2, 8, 9, 6, 10},
                                     {1, heads.kv, u32(ceil_div(u64(tokens) * group, many))}},
                                    {store, {0, 3, 4, 5, 5, 7, 8, 9}, {all, 1}},
                                    {kernels::attention(heads, kv, one_token, splits),
                                     {1, 3, 8, 9, 7, 10},
                                     {splits, heads.kv, u32(ceil_div(group, one_token))}},
                                    {kernels::combine(heads, splits), {1, 3, 10, 7}, {heads.query}}}));

  std::vector<double> k(rows * heads.dim), v(rows * heads.dim), q;
  std::vector<float> got;
  for (u32 t = 0; t <= tokens; ++t) {
    const auto row = rotated_row(heads, std::span(qkv).subspan(u64(t) * width, width), nullptr, nullptr, 0, t);
    q.insert(q.end(), row.begin(), row.end());
    for (u32 h = 0; h < heads.kv; ++h) {
      std::copy_n(&row[(heads.query + h) * heads.dim], heads.dim, &k[(u64(h) * context + t) * heads.dim]);
      std::copy_n(&row[(heads.query + heads.kv + h) * heads.dim], heads.dim, &v[(u64(h) * context + t) * heads.dim]);
    }
    const auto after = as<float>(memory[t < tokens ? 6 : 7]);
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

constexpr u32 dims[] = {8, 12, 64, 80, 128, 256};
constexpr u32 groups[] = {1, 2, 3, 4, 7, 8, 16};

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

}  // namespace
}  // namespace pronk::test
