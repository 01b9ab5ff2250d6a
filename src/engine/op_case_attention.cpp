// The KV cache and attention over it.
#include <algorithm>
#include <cmath>

#include "cpu/attention.h"
#include "engine/op_case_parts.h"

namespace pronk::engine {
namespace {

using graph::KvType;
using kernels::HeadShape;
using kernels::Operand;

constexpr float norm_eps = 1e-6f;

graph::KvState kv_state(const AttentionSpec& s) {
  return {.heads = s.heads.kv,
          .key_width = s.heads.key,
          .value_width = s.heads.value,
          .window = s.window,
          .values_in_keys = s.heads.values_in_keys};
}

// Columns of q, k and v in a row of [q heads | k heads | v heads].
struct RowParts {
  u32 q, k, v;

  explicit RowParts(const HeadShape& h)
      : q(h.query * h.key), k(h.kv * h.key), v(h.values_in_keys ? 0 : h.kv * h.value) {}
  u32 width() const { return q + k + v; }
};

// Rows of consecutive tokens, and what norms and rotation make of them.
struct Tokens {
  RowParts parts;
  u32 position, count, stride;
  std::vector<float> qkv;
  std::vector<double> rows;  // [count][width]

  Tokens(const AttentionSpec& s, u32 first, u32 tokens, const std::vector<float>& q_norm,
         const std::vector<float>& k_norm, u32 seed)
      : parts(s.heads),
        position(first),
        count(tokens),
        stride(parts.width() + 8),
        qkv(made_up_floats(u64(tokens) * stride, seed, 1.5f)) {
    for (u32 t = 0; t < count; ++t)
      rows.insert(rows.end(), &qkv[u64(t) * stride], &qkv[u64(t) * stride] + parts.width());
    if (!s.fused) return;
    const graph::RopeTable rope = made_up_rope(s.pairs, s.rotated);
    const RopeAngles angles = rope_angles(rope, position, count);
    const auto part = [&](const cpu::Rows<double>& in, const std::vector<float>* weight) {
      const graph::Norm norm{.x = {}, .group = s.heads.key, .eps = norm_eps};
      if (weight) cpu::norm<double>(norm, in, doubles(*weight), {}, in);
      std::vector<double> out(u64(count) * in.width);
      cpu::rope<double>(in, rope, s.heads.key, 0, {angles.cosines.data(), angles.sines.data()}, rows_of(out, in.width));
      for (u32 t = 0; t < count; ++t) std::copy_n(&out[u64(t) * in.width], in.width, in[t]);
    };
    part(q(), s.q_norm ? &q_norm : nullptr);
    part(k(), s.k_norm ? &k_norm : nullptr);
  }

  cpu::Rows<double> q() { return rows_of(rows, parts.width()).columns(0, parts.q); }
  cpu::Rows<double> k() { return rows_of(rows, parts.width()).columns(parts.q, parts.k); }
  cpu::Rows<double> v() {
    if (parts.v == 0) return {};
    return rows_of(rows, parts.width()).columns(parts.q + parts.k, parts.v);
  }
  kernels::Columns columns(u32 first) const { return {.base = first, .stride = stride}; }

  // The queries' columns hold `values`; keys and values may be anything, what lies between rows is as it was.
  OpAnswer answer(u32 memory, const cpu::Rows<const double>& values) const {
    OpAnswer answer = unchanged(memory, qkv);
    for (u32 t = 0; t < count; ++t) {
      for (u32 i = 0; i < parts.width(); ++i) {
        const bool known = i < values.width;
        expect(answer, u64(t) * stride + i, known ? values[t][i] : 0, known ? Match::near : Match::any);
      }
    }
    return answer;
  }
};

std::string heads_shape(const HeadShape& h) {
  std::string text = "heads " + std::to_string(h.query) + "/" + std::to_string(h.kv) + " of " + std::to_string(h.key);
  if (h.value != h.key) text += "/" + std::to_string(h.value);
  return text;
}

std::string kv_format(graph::KvTypes kv) {
  return std::string(kv_name(kv.k)) + (kv.k == kv.v ? "" : "/" + std::string(kv_name(kv.v)));
}

std::string attention_variant(const AttentionSpec& s) {
  std::string text = "plain";
  if (s.fused) {
    text = s.pairs == graph::RopePairs::adjacent ? "adjacent" : "halves";
    if (s.rotated < s.heads.key) text += "+rotated=" + std::to_string(s.rotated);
  }
  if (s.q_norm) text += "+qnorm";
  if (s.k_norm) text += "+knorm";
  if (s.heads.values_in_keys) text += "+latent";
  if (s.window != 0) text += "+window=" + std::to_string(s.window);
  if (s.soft_cap != 0) text += "+cap";
  if (s.sinks) text += "+sinks";
  if (!s.causal) text += "+both ways";
  return text;
}

// A device may round to either neighbour of f16, as WGSL leaves open; and where its arithmetic differs in the last
// place, a stored number may become its other neighbour.
double kv_tolerance(graph::KvTypes kv, u32 width) {
  const auto of = [&](KvType type) {
    switch (type) {
      case KvType::f32:
        return sum_tolerance(width);
      case KvType::f16:
        return 1e-3;
      case KvType::q8:
        return 2e-3;
      case KvType::q4:
        return 1e-2;
    }
    return 0.0;
  };
  return std::max(of(kv.k), of(kv.v));
}

Memory empty_cache(KvType type, u32 width, u32 heads, u32 capacity) {
  return Memory(align_up(graph::kv_row_bytes(type, width) * heads * capacity, 16));
}

// What operations bind that does not depend on the tokens.
struct AttentionMemory {
  Operand rope_table{}, q_norm{}, k_norm{}, sinks{}, k_cache, v_cache;
  u32 capacity;

  AttentionMemory(OpCase& c, const AttentionSpec& s, u32 positions) : capacity(positions) {
    k_cache = add_operand(c, empty_cache(s.kv.k, s.heads.key, s.heads.kv, capacity));
    v_cache =
        s.heads.values_in_keys ? k_cache : add_operand(c, empty_cache(s.kv.v, s.heads.value, s.heads.kv, capacity));
  }
  void add_vectors(OpCase& c, const AttentionSpec& s, u32 context, const std::vector<float>& q_weight,
                   const std::vector<float>& k_weight, const std::vector<float>& sink_logits) {
    if (s.fused) {
      const std::vector<float> angles = kernels::rope_table(made_up_rope(s.pairs, s.rotated), {}, context);
      rope_table = add_operand(c, angles.empty() ? Memory(16) : memory_of(angles));
    }
    q_norm = add_operand(c, memory_of(q_weight));
    k_norm = add_operand(c, memory_of(k_weight));
    sinks = add_operand(c, memory_of(sink_logits));
  }
};

// Stores the tokens; the memory of their rows, rotated in place when fused.
Operand add_store(OpCase& c, const AttentionSpec& s, const AttentionMemory& m, const Tokens& tokens, Operand state) {
  const Operand qkv = add_operand(c, memory_of(tokens.qkv));
  if (s.fused) {
    const kernels::RotateStore rotate{.query_heads = s.heads.query,
                                      .kv_heads = s.heads.kv,
                                      .head = s.heads.key,
                                      .pairs = s.pairs,
                                      .rotated = s.rotated,
                                      .kv = s.kv,
                                      .q_norm = s.q_norm,
                                      .k_norm = s.k_norm,
                                      .eps = norm_eps,
                                      .qkv = tokens.columns(0),
                                      .capacity = m.capacity};
    add_step(c, kernels::lower(rotate, {state, m.rope_table, m.q_norm, m.k_norm, qkv, m.k_cache, m.v_cache}),
             tokens.count);
    return qkv;
  }
  const kernels::StoreKv store{.heads = s.heads.kv,
                               .key = s.heads.key,
                               .value = s.heads.value,
                               .values_in_keys = s.heads.values_in_keys,
                               .kv = s.kv,
                               .capacity = m.capacity,
                               .k = tokens.columns(tokens.parts.q),
                               .v = tokens.columns(tokens.parts.q + tokens.parts.k)};
  for (kernels::Launch& launch : kernels::lower(store, {state, qkv, qkv, m.k_cache, m.v_cache}))
    add_step(c, std::move(launch), tokens.count);
  return qkv;
}

struct AttentionStep {
  kernels::AttentionTile tile;
  u32 tokens;
  kernels::Columns q, out;
  Operand state, q_operand, out_operand;
};

void add_attention(OpCase& c, const AttentionSpec& s, const AttentionMemory& m, const AttentionStep& step) {
  const u32 splits = step.tile.splits;
  const u64 partial_bytes = splits > 1 ? kernels::attention_partial_bytes(s.heads, splits) : 16;
  const Operand partial = add_operand(c, Memory(align_up(partial_bytes, 16)));
  const kernels::Attention attention{.heads = s.heads,
                                     .kv = s.kv,
                                     .scale = s.scale,
                                     .soft_cap = s.soft_cap,
                                     .window = s.window,
                                     .causal = s.causal,
                                     .sinks = s.sinks,
                                     .rotated = s.fused,
                                     .tile = step.tile,
                                     .q = step.q,
                                     .out = step.out,
                                     .capacity = m.capacity};
  for (kernels::Launch& launch : kernels::lower(
           attention, {step.state, m.k_cache, m.v_cache, step.q_operand, m.sinks, partial, step.out_operand}))
    add_step(c, std::move(launch), step.tokens);
}

// A case while its steps are added: the chunks of a prompt, one token.
class AttentionBuilder {
 public:
  AttentionBuilder(OpCase& c, const AttentionSpec& s, u32 seed)
      : c_(c),
        s_(s),
        context_(s.tokens * s.chunks + s.decode + 5),
        seed_(seed),
        q_norm_(made_up_floats(s.heads.key, seed, 0.3f, 1)),
        k_norm_(made_up_floats(s.heads.key, seed + 1, 0.3f, 1)),
        sinks_(made_up_floats(s.heads.query, seed + 2)),
        memory_(c, s, graph::kv_capacity(kv_state(s), context_, s.tokens)),
        cache_(kv_state(s), memory_.capacity, s.kv),
        scratch_(sizes(s)) {
    memory_.add_vectors(c, s, context_, q_norm_, k_norm_, sinks_);
  }

  void add(u32 position, u32 tokens, const kernels::AttentionTile& tile, bool attend) {
    seed_ += 3;
    Tokens rows(s_, position, tokens, q_norm_, k_norm_, seed_);
    const Operand state = add_state(c_, position, tokens), qkv = add_store(c_, s_, memory_, rows, state);
    cache_.store(position, rows.k(), rows.v(), scratch_.threads[0].keys.data());
    if (!attend) return;
    AttentionStep step{tile, tokens, rows.columns(0), rows.columns(0), state, qkv, qkv};
    const u32 width = s_.heads.query * s_.heads.value;
    if (s_.fused) {
      add_attention(c_, s_, memory_, step);
      std::vector<double> out = answer(rows, width);
      c_.answers.push_back(rows.answer(u32(qkv), rows_of(out, width)));
      return;
    }
    const OutputRows output(c_, width, tokens, seed_ + 1);
    step.out = output.columns(), step.out_operand = output.operand;
    add_attention(c_, s_, memory_, step);
    c_.answers.push_back(output.answer(answer(rows, width)));
  }

 private:
  static cpu::AttentionSizes sizes(const AttentionSpec& s) {
    cpu::AttentionSizes sizes;
    sizes.cover(kv_state(s), s.heads.query, s.tokens);
    return sizes;
  }

  std::vector<double> answer(Tokens& tokens, u32 width) {
    const graph::Attention op{.state = {},
                              .q = {},
                              .heads = s_.heads.query,
                              .scale = s_.scale,
                              .soft_cap = s_.soft_cap,
                              .window = s_.window,
                              .causal = s_.causal};
    const std::vector<double> sinks = doubles(sinks_);
    std::vector<double> out(u64(tokens.count) * width);
    cpu::attention<double>({.op = op,
                            .cache = cache_,
                            .sinks = s_.sinks ? sinks.data() : nullptr,
                            .q = tokens.q(),
                            .position = tokens.position,
                            .run = {0, tokens.count},
                            .out = rows_of(out, width)},
                           scratch_);
    return out;
  }

  OpCase& c_;
  const AttentionSpec& s_;
  u32 context_, seed_;
  std::vector<float> q_norm_, k_norm_, sinks_;
  AttentionMemory memory_;
  cpu::KvCache<double> cache_;
  cpu::AttentionScratch<double> scratch_;
};

// Near the numbers given in the rows of positions that were stored, by KV head; the same elsewhere.
OpAnswer stored_rows(Operand cache, KvType type, u32 heads, u32 capacity, u32 position,
                     const cpu::Rows<const double>& rows) {
  CHECK(type == KvType::f32 || type == KvType::f16);
  const u32 width = rows.width / heads;
  const u64 count = u64(heads) * capacity * width;
  OpAnswer answer{u32(cache), type == KvType::f32 ? OpAnswer::Type::f32 : OpAnswer::Type::f16,
                  std::vector<double>(count), std::vector<Match>(count, Match::same)};
  for (u32 t = 0; t < rows.count; ++t) {
    for (u32 i = 0; i < rows.width; ++i) {
      const u64 row = u64(i / width) * capacity + (position + t) % capacity;
      expect(answer, row * width + i % width, rows[t][i]);
    }
  }
  return answer;
}

double stored_tolerance(graph::KvTypes kv) { return kv.k == KvType::f16 || kv.v == KvType::f16 ? 1e-3 : 2e-6; }

}  // namespace

std::string_view kv_name(KvType type) {
  constexpr std::string_view names[] = {"f32", "f16", "q8", "q4"};
  return names[u32(type)];
}

OpCase attention_case(const AttentionSpec& s, u32 seed) {
  OpCase c{
      .op = s.decode ? "attention-decode" : "attention", .format = kv_format(s.kv), .variant = attention_variant(s)};
  const u32 prompt = s.tokens * s.chunks;
  c.shape = heads_shape(s.heads) + tokens_shape(prompt + s.decode);
  c.tolerance = kv_tolerance(s.kv, s.heads.key);
  AttentionBuilder steps(c, s, seed);
  for (u32 position = 0; position < prompt; position += s.tokens)
    steps.add(position, s.tokens, s.prefill_tile, s.attend);
  if (s.decode) steps.add(prompt, 1, s.decode_tile, true);
  return c;
}

OpCase rotate_case(const AttentionSpec& s, u32 position, u32 seed) {
  const u32 context = position + s.tokens + 3;
  const auto q_norm = made_up_floats(s.heads.key, seed, 0.3f, 1),
             k_norm = made_up_floats(s.heads.key, seed + 1, 0.3f, 1);
  OpCase c{.op = "rotate_store", .format = kv_format(s.kv), .variant = attention_variant(s)};
  c.shape = heads_shape(s.heads) + " tokens " + std::to_string(position) + "+" + std::to_string(s.tokens);
  Tokens tokens(s, position, s.tokens, q_norm, k_norm, seed + 2);
  AttentionMemory m(c, s, context);
  m.add_vectors(c, s, context, q_norm, k_norm, {});
  const Operand qkv = add_store(c, s, m, tokens, add_state(c, position, s.tokens));
  c.answers.push_back(tokens.answer(u32(qkv), tokens.q()));
  c.answers.push_back(stored_rows(m.k_cache, s.kv.k, s.heads.kv, context, position, tokens.k()));
  c.answers.push_back(stored_rows(m.v_cache, s.kv.v, s.heads.kv, context, position, tokens.v()));
  c.tolerance = stored_tolerance(s.kv);
  return c;
}

OpCase store_kv_case(kernels::StoreKv store, u32 position, u32 tokens, u32 seed) {
  OpCase c{.op = "store_kv", .format = kv_format(store.kv), .variant = store.values_in_keys ? "latent" : ""};
  c.shape = heads_shape({store.heads, store.heads, store.key, store.value, store.values_in_keys}) + " tokens " +
            std::to_string(position) + "+" + std::to_string(tokens) + " of " + std::to_string(store.capacity);
  c.tolerance = stored_tolerance(store.kv);
  const MadeUpRows k(store.heads * store.key, tokens, seed), v(store.heads * store.value, tokens, seed + 1);
  const Operand k_cache = add_operand(c, empty_cache(store.kv.k, store.key, store.heads, store.capacity)),
                v_cache = add_operand(c, empty_cache(store.kv.v, store.value, store.heads, store.capacity));
  store.k = k.columns, store.v = v.columns;
  const kernels::StoreKvOperands operands{add_state(c, position, tokens), add_operand(c, memory_of(k.floats)),
                                          add_operand(c, memory_of(v.floats)), k_cache, v_cache};
  for (kernels::Launch& launch : kernels::lower(store, operands)) add_step(c, std::move(launch), tokens);
  std::vector<double> keys = k.reals(), values = v.reals();
  c.answers.push_back(stored_rows(k_cache, store.kv.k, store.heads, store.capacity, position, rows_of(keys, k.width)));
  if (!store.values_in_keys)
    c.answers.push_back(
        stored_rows(v_cache, store.kv.v, store.heads, store.capacity, position, rows_of(values, v.width)));
  return c;
}

OpCase attention_timing(const HeadShape& heads, graph::KvTypes kv, u32 context, u32 tokens,
                        std::span<const kernels::AttentionTile> tiles) {
  CHECK(heads.key == heads.value && !heads.values_in_keys && tokens <= context);
  const AttentionSpec s{.heads = heads, .kv = kv, .scale = 0.25f / std::sqrt(float(heads.key)), .rotated = heads.key};
  OpCase c{.op = tokens == 1 ? "attention-decode" : "attention", .format = kv_format(kv)};
  c.shape = heads_shape(heads) + tokens_shape(context);
  AttentionMemory m(c, s, context);
  m.sinks = add_operand(c, Memory(16));
  const u32 width = heads.query * heads.key;
  const Operand q = add_operand(c, memory_of(made_up_floats(u64(width) * tokens, 1)));
  const Operand state = add_state(c, context - tokens, tokens);
  const kernels::Columns columns{.base = 0, .stride = width};
  for (const kernels::AttentionTile& tile : tiles)
    add_attention(c, s, m, {tile, tokens, columns, columns, state, q, q});
  c.bytes = c.memory[u32(m.k_cache)].size() + c.memory[u32(m.v_cache)].size();
  c.operations = 4 * u64(heads.query) * heads.key * context * tokens;
  return c;
}

}  // namespace pronk::engine
