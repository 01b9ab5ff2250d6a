// Head norms, rotation, the KV cache and attention over it, against the CPU's operations in double.
#include "base/half.h"
#include "cpu/attention.h"
#include "support/kernel_runner.h"

namespace pronk::test {
namespace {

using graph::Heads;
using graph::KvType;

std::string name(const Heads& heads, KvType kv) {
  return "heads " + std::to_string(heads.query) + "/" + std::to_string(heads.kv) + " of " + std::to_string(heads.dim) + " rotated " +
         std::to_string(heads.rotated) + (heads.pairs == graph::RopePairs::adjacent ? " adjacent" : " halves") +
         (kv == KvType::f16 ? " f16" : " f32");
}

graph::Rotation rotation(const Heads& heads) {
  graph::Rotation rotation;
  for (u32 i = 0; i < heads.rotated / 2; ++i) rotation.frequency.push_back(std::pow(10000.0, -2.0 * i / heads.rotated));
  rotation.magnitude = 1.125;
  return rotation;
}

Bytes cache_bytes(const std::vector<float>& values, KvType kv) {
  if (kv == KvType::f32) return bytes_of(values);
  std::vector<u16> halves(values.size());
  for (u64 i = 0; i < values.size(); ++i) halves[i] = f32_to_f16(values[i]);
  return bytes_of(halves);
}
std::vector<float> cache_floats(const Bytes& bytes, u64 count, KvType kv) {
  std::vector<float> values = kv == KvType::f32 ? as<float>(bytes) : std::vector<float>();
  if (kv == KvType::f16) {
    for (const u16 half : as<u16>(bytes)) values.push_back(f16_to_f32(half));
  }
  values.resize(count);
  return values;
}

class AttentionOp : public KernelTest {
 protected:
  static void check_rotate(const Heads& heads, KvType kv, bool q_norm, bool k_norm, u32 position, u32 tokens, u32 seed);
  static void check_attention(const Heads& heads, KvType kv, u32 position, u32 tokens, bool decode, u32 seed);
};

// ---- rotate_store

// The row after norms and rotation, [q heads | k heads | v heads].
std::vector<double> rotated_row(const Heads& heads, std::span<const float> row, const std::vector<float>* q_norm,
                                const std::vector<float>* k_norm, float eps, u32 position) {
  std::vector<double> values(row.begin(), row.end());
  const graph::Rotation turn = rotation(heads);
  std::vector<double> cosines, sines;
  for (const double frequency : turn.frequency) {
    cosines.push_back(turn.magnitude * std::cos(position * frequency));
    sines.push_back(turn.magnitude * std::sin(position * frequency));
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

void AttentionOp::check_rotate(const Heads& heads, KvType kv, bool q_norm, bool k_norm, u32 position, u32 tokens, u32 seed) {
  SCOPED_TRACE(name(heads, kv) + (q_norm ? " q norm" : "") + (k_norm ? " k norm" : "") + " position " + std::to_string(position));
  const u32 context = position + tokens + 3, width = (heads.query + 2 * heads.kv) * heads.dim, stride = width + 8;
  const u64 cache_size = u64(heads.kv) * context * heads.dim;
  const auto q_weight = random_floats(heads.dim, seed, 0.3f, 1), k_weight = random_floats(heads.dim, seed + 1, 0.3f, 1);
  const auto qkv = random_floats(u64(tokens) * stride, seed + 2, 1.5f);
  const auto k_old = cache_floats(cache_bytes(random_floats(cache_size, seed + 3), kv), cache_size, kv);
  const auto v_old = cache_floats(cache_bytes(random_floats(cache_size, seed + 4), kv), cache_size, kv);
  kernels::RotateParams p;
  p.stride = stride / 4, p.q_heads = heads.query, p.kv_heads = heads.kv, p.context = context, p.eps = 1e-6f;
  kernels::StepState state;
  state.position = position, state.rows = tokens;
  std::vector<Bytes> memory{params_bytes(p), params_bytes(state), bytes_of(kernels::turn_table(rotation(heads), {}, context)), bytes_of(q_weight),
                            bytes_of(k_weight), bytes_of(qkv), cache_bytes(k_old, kv), cache_bytes(v_old, kv)};
  const kernels::Grid grid{heads.query + 2 * heads.kv, tokens};
  ASSERT_TRUE(runner().run(memory, {{kernels::rotate_store(heads, q_norm, k_norm, kv), {0, 1, 2, 3, 4, 5, 6, 7}, grid}}));

  const auto got = as<float>(memory[5]);
  std::vector<float> q_got;
  std::vector<double> q_expected, k_expected(k_old.begin(), k_old.end()), v_expected(v_old.begin(), v_old.end());
  for (u32 t = 0; t < tokens; ++t) {
    const float* row = &qkv[u64(t) * stride];
    const auto expected = rotated_row(heads, {row, width}, q_norm ? &q_weight : nullptr, k_norm ? &k_weight : nullptr, p.eps, position + t);
    q_got.insert(q_got.end(), &got[u64(t) * stride], &got[u64(t) * stride] + heads.query * heads.dim);
    q_expected.insert(q_expected.end(), expected.begin(), expected.begin() + heads.query * heads.dim);
    for (u32 head = 0; head < heads.kv; ++head) {
      const u64 at = (u64(head) * context + position + t) * heads.dim;
      std::copy_n(&expected[(heads.query + head) * heads.dim], heads.dim, &k_expected[at]);
      std::copy_n(&expected[(heads.query + heads.kv + head) * heads.dim], heads.dim, &v_expected[at]);
    }
  }
  const double stored = kv == KvType::f16 ? 4e-4 : 2e-6;  // half of f16's last place is 2⁻¹²
  EXPECT_LE(relative_error(q_got, q_expected), 2e-6);
  EXPECT_LE(relative_error(cache_floats(memory[6], cache_size, kv), k_expected), stored);
  EXPECT_LE(relative_error(cache_floats(memory[7], cache_size, kv), v_expected), stored);
}

TEST_F(AttentionOp, RotateStore) {
  u32 round = 0;
  for (const u32 dim : {4u, 8u, 12u, 64u, 80u, 128u, 256u}) {
    for (const auto pairs : {graph::RopePairs::adjacent, graph::RopePairs::halves}) {
      for (const u32 rotated : {dim, dim / 2 / 2 * 2, 2u}) {
        const Heads heads{.query = 1 + round % 6 * 2, .kv = 1 + round % 3, .dim = dim, .rotated = rotated, .pairs = pairs, .scale = 1};
        const bool q_norm = round % 4 == 1 || round % 4 == 2, k_norm = round % 4 == 1 || round % 4 == 3;
        const u32 positions[] = {0, 61, 1000, 127};
        check_rotate(heads, round % 2 ? KvType::f16 : KvType::f32, q_norm, k_norm, positions[round % 4], 1 + round % 7, round);
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

// Rows of q and out: [tokens][stride]; the cache [kv head][position][dim].
std::vector<double> reference(const Heads& heads, const std::vector<float>& k, const std::vector<float>& v, u32 context,
                              const std::vector<float>& q, u32 stride, u32 position, u32 tokens) {
  std::vector<double> out;
  std::vector<double> weights;
  for (u32 t = 0; t < tokens; ++t) {
    for (u32 head = 0; head < heads.query; ++head) {
      const u32 kv = head / (heads.query / heads.kv), length = position + t + 1;
      const auto row = [&](const std::vector<float>& cache, u32 at) { return &cache[(u64(kv) * context + at) * heads.dim]; };
      const float* query = &q[u64(t) * stride + head * heads.dim];
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

void AttentionOp::check_attention(const Heads& heads, KvType kv, u32 position, u32 tokens, bool decode, u32 seed) {
  SCOPED_TRACE(name(heads, kv) + (decode ? " decode" : " prefill") + " position " + std::to_string(position) + " tokens " + std::to_string(tokens));
  const u32 context = position + tokens + 5, stride = heads.query * heads.dim + 12, group = heads.query / heads.kv;
  const u64 cache_size = u64(heads.kv) * context * heads.dim;
  const auto k = cache_floats(cache_bytes(random_floats(cache_size, seed), kv), cache_size, kv);
  const auto v = cache_floats(cache_bytes(random_floats(cache_size, seed + 1), kv), cache_size, kv);
  const auto q = random_floats(u64(tokens) * stride, seed + 2, 1.5f);
  kernels::AttentionParams p;
  p.group_heads = group, p.stride = stride / 4, p.context = context, p.scale = heads.scale;
  kernels::StepState state;
  state.position = position, state.rows = tokens;
  const u32 splits = decode ? kernels::attention_splits(heads) : 1;
  const u32 vectors = kernels::attention_vectors(heads, decode ? 1 : 256);
  std::vector<Bytes> memory{params_bytes(p), params_bytes(state), cache_bytes(k, kv), cache_bytes(v, kv), bytes_of(q),
                            Bytes(decode ? kernels::attention_partial_bytes(heads, splits) : 16)};
  std::vector<KernelRunner::Step> steps{{kernels::attention(heads, kv, vectors, splits), {0, 1, 2, 3, 4, 5},
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
  EXPECT_LE(relative_error(got, reference(heads, k, v, context, q, stride, position, tokens)), tolerance(heads.dim));
}

Heads heads_of(u32 group, u32 kv, u32 dim) {
  return {.query = group * kv, .kv = kv, .dim = dim, .rotated = dim, .pairs = graph::RopePairs::halves, .scale = 1 / std::sqrt(float(dim))};
}

constexpr u32 dims[] = {8, 12, 64, 80, 128, 256};
constexpr u32 groups[] = {1, 2, 3, 4, 7, 8, 16};

TEST_F(AttentionOp, Decode) {
  constexpr u32 lengths[] = {1, 2, 31, 63, 64, 65, 129, 300, 1000};
  u32 round = 0;
  for (const u32 dim : dims) {
    for (const u32 group : groups) {
      const Heads heads = heads_of(group, 1 + round % 3, dim);
      for (u32 i = 0; i < 2; ++i, ++round) check_attention(heads, round % 4 == 3 ? KvType::f16 : KvType::f32, lengths[round % 9] - 1, 1, true, round);
    }
  }
  for (const u32 length : lengths) check_attention(heads_of(2, 2, 64), KvType::f32, length - 1, 1, true, length);
}

TEST_F(AttentionOp, Prefill) {
  constexpr u32 positions[] = {0, 5, 64, 200, 0}, tokens[] = {1, 2, 9, 17, 64, 70, 33};
  u32 round = 0;
  for (const u32 dim : dims) {
    for (const u32 group : groups) {
      check_attention(heads_of(group, 1 + round % 2, dim), round % 4 == 3 ? KvType::f16 : KvType::f32, positions[round % 5], tokens[round % 7], false, round);
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

}  // namespace
}  // namespace pronk::test
