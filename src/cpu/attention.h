// Attention over the KV cache.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/kv_cache.h"
#include "cpu/operations.h"

namespace pronk::cpu {

constexpr u32 kv_rows = 32;  // positions that are converted at a time, for all query heads and tokens that read them
constexpr u32 tile_heads = 128;       // about so many query heads of all tokens of a tile read them
constexpr u32 split_positions = 512;  // that a thread takes at a time
constexpr u32 split_rows = 16;        // with few queries so many splits of one are under way at a time

// Tokens of a tile, whose query heads that share a KV head go through its positions together.
constexpr u32 tile_tokens(u32 group) { return std::max(1u, tile_heads / group); }

// What the online softmax (arXiv 1805.02867) carries from block to block.
template <class Real>
struct Softmax {
  Real largest = -std::numeric_limits<Real>::infinity();
  Real sum = 0;  // of exp(score − largest)
};

// What attention over any of a graph's states needs while it runs, in numbers.
struct AttentionSizes {
  u64 queries = 0;                        // of a thread: [tokens of a tile][query heads of one KV head][key width]
  u64 keys = 0, values = 0;               // of a thread: [kv_rows][width]
  u64 softmax = 0;                        // [tokens][query heads]
  u64 split_sums = 0, split_softmax = 0;  // [split_rows][query heads] of a value's width, and of Softmax

  void cover(const graph::KvState& state, u32 heads, u32 tokens) {
    const u32 group = heads / state.heads;
    queries = std::max(queries, u64(std::min(tokens, tile_tokens(group))) * group * state.key_width);
    keys = std::max(keys, u64(kv_rows) * state.key_width);
    values = std::max(values, u64(kv_rows) * state.value_width);
    softmax = std::max(softmax, u64(tokens) * heads);
    split_sums = std::max(split_sums, u64(split_rows) * heads * state.value_width);
    split_softmax = std::max(split_softmax, u64(split_rows) * heads);
  }
  void cover_store(const graph::KvState& state) { keys = std::max<u64>(keys, state.key_width); }  // KvCache::store
  template <class Real>
  u64 bytes(u32 threads) const {
    return (threads * (queries + keys + values) + split_sums) * sizeof(Real) +
           (softmax + split_softmax) * sizeof(Softmax<Real>);
  }
};

template <class Real>
struct AttentionScratch {
  struct Thread {
    std::vector<Real> queries, keys, values;
  };
  std::vector<Thread> threads;
  std::vector<Softmax<Real>> softmax, split_softmax;
  std::vector<Real> split_sums;

  explicit AttentionScratch(const AttentionSizes& sizes, u32 thread_count = 1)
      : threads(thread_count),
        softmax(to_size(sizes.softmax)),
        split_softmax(to_size(sizes.split_softmax)),
        split_sums(to_size(sizes.split_sums)) {
    for (Thread& thread : threads) {
      thread.queries.resize(to_size(sizes.queries));
      thread.keys.resize(to_size(sizes.keys));
      thread.values.resize(to_size(sizes.values));
    }
  }
  u64 bytes() const {
    const Thread& one = threads[0];
    const AttentionSizes sizes{one.queries.size(), one.keys.size(),   one.values.size(),
                               softmax.size(),     split_sums.size(), split_softmax.size()};
    return sizes.template bytes<Real>(u32(threads.size()));
  }
};

// Adds `count` positions to one head's running sum of weighted values, out.
template <class Real>
void attend_block(const AttendShape& shape, const Real* q, const Real* keys, const Real* values, u32 count,
                  Softmax<Real>& state, Real* out) {
  Real weights[kv_rows];
  Real largest = state.largest;
  for (u32 p = 0; p < count; ++p) {
    weights[p] = Real(shape.scale) * dot(q, keys + u64(p) * shape.key_width, shape.key_width);
    if (shape.soft_cap != 0) weights[p] = Real(shape.soft_cap) * std::tanh(weights[p] / Real(shape.soft_cap));
    largest = std::max(largest, weights[p]);
  }
  if (largest > state.largest) {
    const Real keep = std::exp(state.largest - largest);  // 0 in the first block
    for (u32 i = 0; i < shape.value_width; ++i) out[i] *= keep;
    state = {largest, state.sum * keep};
  }
  for (u32 p = 0; p < count; ++p) {
    const Real weight = std::exp(weights[p] - largest);
    const Real* value = values + u64(p) * shape.value_stride;
    state.sum += weight;
    for (u32 i = 0; i < shape.value_width; ++i) out[i] += weight * value[i];
  }
}

// Positions [first, end).
struct Span {
  u32 first = 0, end = 0;
};

// How an attention is cut, whatever the number of threads. A unit is the queries of a tile that share a KV head, over
// the positions of a split. Units come in rounds; those of a round may run at the same time. Many queries: a round is a
// split, which adds to the sums of those before. Few: a round is several splits with sums of their own, which are
// merged at its end in their order.
struct AttentionCut {
  u32 window;  // 0: none
  bool causal;
  Span run;                            // the positions of the whole run, which a query that is not causal sees
  Span seen;                           // by any of the queries
  u32 position, tokens, group, heads;  // heads: of keys and values
  u32 tile, tiles, splits, at_once;    // at_once: splits of a round

  struct Unit {
    u32 head = 0, split = 0;  // split: of the round
    Span tokens, positions;   // positions: all that any of these tokens sees in the split; may be none
    u64 pairs() const { return u64(tokens.end - tokens.first) * (positions.end - positions.first); }
  };

  AttentionCut(const graph::Attention& op, const graph::KvState& state, u32 first_position, u32 token_count, Span r)
      : window(op.window),
        causal(op.causal),
        run(r),
        position(first_position),
        tokens(token_count),
        group(op.heads / state.heads),
        heads(state.heads) {
    seen = seen_by({0, tokens});
    tile = tile_tokens(group);
    tiles = u32(ceil_div(tokens, tile));
    splits = u32(ceil_div(seen.end - seen.first, split_positions));
    at_once = std::min(splits, std::max(1u, split_rows / tokens));
  }
  u64 of_round() const { return u64(at_once) * heads * tiles; }
  u64 units() const { return ceil_div(splits, at_once) * of_round(); }

  Unit unit(u64 index) const {
    const u32 in_round = u32(index % of_round());
    Unit unit{.head = in_round / tiles % heads, .split = in_round / (tiles * heads)};
    const u32 first_token = in_round % tiles * tile;
    unit.tokens = {first_token, std::min(first_token + tile, tokens)};
    const u64 from = seen.first + (index / of_round() * at_once + unit.split) * split_positions;
    const Span some = seen_by(unit.tokens);
    unit.positions.first = u32(std::max<u64>(from, some.first));
    unit.positions.end = std::max(u32(std::min<u64>(from + split_positions, some.end)), unit.positions.first);
    return unit;
  }

  Span seen_from(u32 at) const {
    if (causal) return {window != 0 && at >= window ? at + 1 - window : 0, at + 1};
    if (window == 0) return run;
    const u32 half = window / 2;
    return {std::max(run.first, at - std::min(at, half)), u32(std::min<u64>(run.end, u64(at) + half + 1))};
  }
  Span seen_by(Span some) const {
    return {seen_from(position + some.first).first, seen_from(position + some.end - 1).end};
  }
};

// One graph::Attention over its state, for some queries.
template <class Real>
struct AttentionCall {
  const graph::Attention& op;
  const KvCache<Real>& cache;
  const Real* sinks = nullptr;  // one a query head
  Rows<const Real> q;
  u32 position = 0;  // of row 0
  Span run;          // see AttentionCut
  Rows<Real> out;
  const Kernels* kernels = nullptr;  // those of an instruction set, for floats; null: plain loops

  AttentionCut cut() const { return {op, cache.state(), position, q.count, run}; }
  u64 pair_cost() const {  // multiply-adds of a token and a position, of one KV head: scores, and sums of values
    const graph::KvState& state = cache.state();
    return u64(op.heads / state.heads) * (state.key_width + state.value_width);
  }
};

// Empty sums for some tokens.
template <class Real>
void begin_attention(const AttentionCall<Real>& call, Span tokens, AttentionScratch<Real>& scratch) {
  const u32 heads = call.op.heads;
  for (u32 t = tokens.first; t < tokens.end; ++t) {
    for (u32 h = 0; h < heads; ++h) {
      scratch.softmax[u64(t) * heads + h] = call.sinks ? Softmax<Real>{call.sinks[h], 1} : Softmax<Real>{};
    }
    std::fill_n(call.out[t], call.out.width, Real(0));
  }
}

template <class Real>
void end_attention(const AttentionCall<Real>& call, Span tokens, const AttentionScratch<Real>& scratch) {
  const u32 heads = call.op.heads, width = call.cache.state().value_width;
  for (u32 t = tokens.first; t < tokens.end; ++t) {
    for (u32 h = 0; h < heads; ++h) {
      Real* head = call.out[t] + u64(h) * width;
      const Real scale = 1 / scratch.softmax[u64(t) * heads + h].sum;
      for (u32 i = 0; i < width; ++i) head[i] *= scale;
      call.cache.transform_back(head);
    }
  }
}

// Adds a unit's positions to the sums of its queries. sums, softmax: a row of all query heads for each token of the
// call.
template <class Real>
void attend(const AttentionCall<Real>& call, const AttentionCut& cut, const AttentionCut::Unit& unit, Rows<Real> sums,
            Softmax<Real>* softmax, typename AttentionScratch<Real>::Thread& scratch) {
  const graph::KvState& state = call.cache.state();
  const u32 group = cut.group, columns = group * state.key_width, first_head = unit.head * group;
  const AttendShape shape{state.key_width, state.value_width, call.cache.value_stride(), call.op.scale,
                          call.op.soft_cap};
  const auto queries_of = [&](u32 t) { return &scratch.queries[u64(t - unit.tokens.first) * columns]; };
  for (u32 t = unit.tokens.first; t < unit.tokens.end; ++t) {
    std::copy_n(call.q[t] + unit.head * columns, columns, queries_of(t));
    for (u32 g = 0; g < group; ++g) call.cache.transform_as_keys(queries_of(t) + g * state.key_width);
  }
  for (u32 first = unit.positions.first; first < unit.positions.end; first += kv_rows) {
    const u32 count = std::min(kv_rows, unit.positions.end - first);
    const Real* keys = call.cache.keys(unit.head, first, count, scratch.keys.data(), call.kernels);
    const Real* values = call.cache.values(unit.head, first, count, keys, scratch.values.data(), call.kernels);
    for (u32 t = unit.tokens.first; t < unit.tokens.end; ++t) {
      const Span seen = cut.seen_from(call.position + t);
      const u32 from = std::max(seen.first, first), end = std::min(seen.end, first + count);
      if (from >= end) continue;
      const Real* k = keys + u64(from - first) * shape.key_width;
      const Real* v = values + u64(from - first) * shape.value_stride;
      for (u32 g = 0; g < group; ++g) {
        const Real* query = queries_of(t) + g * state.key_width;
        Softmax<Real>& of_head = softmax[u64(t) * call.op.heads + first_head + g];
        Real* sum = sums[t] + u64(first_head + g) * state.value_width;
        if constexpr (std::is_same_v<Real, float>) {
          if (call.kernels) {
            call.kernels->attend(shape, query, k, v, end - from, of_head, sum);
            continue;
          }
        }
        attend_block(shape, query, k, v, end - from, of_head, sum);
      }
    }
  }
}

// Adds one sum of weighted values to another.
template <class Real>
void merge(const Softmax<Real>& from, const Real* values, u32 width, Softmax<Real>& into, Real* sum) {
  if (from.sum == 0 && !(from.largest > -std::numeric_limits<Real>::infinity())) return;  // of no position
  const Real largest = std::max(into.largest, from.largest);
  const Real keep = std::exp(into.largest - largest), add = std::exp(from.largest - largest);
  into = {largest, into.sum * keep + from.sum * add};
  for (u32 i = 0; i < width; ++i) sum[i] = sum[i] * keep + values[i] * add;
}

// The sums of one split of a round, apart from all others.
template <class Real>
Rows<Real> split_sums(const AttentionCall<Real>& call, const AttentionCut& cut, u32 split,
                      AttentionScratch<Real>& scratch) {
  const u64 row = u64(split) * cut.tokens * call.out.width;
  return {scratch.split_sums.data() + row, cut.tokens, call.out.width, call.out.width};
}
template <class Real>
Softmax<Real>* split_softmax(const AttentionCall<Real>& call, const AttentionCut& cut, u32 split,
                             AttentionScratch<Real>& scratch) {
  return scratch.split_softmax.data() + u64(split) * cut.tokens * call.op.heads;
}

// One unit. thread: whose scratch it uses.
template <class Real>
void attend(const AttentionCall<Real>& call, const AttentionCut& cut, u64 index, u32 thread,
            AttentionScratch<Real>& scratch) {
  const AttentionCut::Unit unit = cut.unit(index);
  if (cut.at_once == 1) return attend(call, cut, unit, call.out, scratch.softmax.data(), scratch.threads[thread]);
  const Rows<Real> sums = split_sums(call, cut, unit.split, scratch);
  Softmax<Real>* softmax = split_softmax(call, cut, unit.split, scratch);
  const u32 first_head = unit.head * cut.group, width = call.cache.state().value_width;
  for (u32 t = unit.tokens.first; t < unit.tokens.end; ++t) {
    std::fill_n(softmax + u64(t) * call.op.heads + first_head, cut.group, Softmax<Real>{});
    std::fill_n(sums[t] + u64(first_head) * width, cut.group * width, Real(0));
  }
  attend(call, cut, unit, sums, softmax, scratch.threads[thread]);
}

// After all units of a round.
template <class Real>
void end_round(const AttentionCall<Real>& call, const AttentionCut& cut, AttentionScratch<Real>& scratch) {
  if (cut.at_once == 1) return;
  const u32 heads = call.op.heads, width = call.cache.state().value_width;
  for (u32 split = 0; split < cut.at_once; ++split) {
    const Rows<Real> sums = split_sums(call, cut, split, scratch);
    const Softmax<Real>* softmax = split_softmax(call, cut, split, scratch);
    for (u32 t = 0; t < cut.tokens; ++t) {
      for (u32 h = 0; h < heads; ++h) {
        const u64 at = u64(t) * heads + h;
        merge(softmax[at], sums[t] + u64(h) * width, width, scratch.softmax[at], call.out[t] + u64(h) * width);
      }
    }
  }
}

template <class Real>
void check_fits(const AttentionCall<Real>& call, const AttentionCut& cut, const AttentionScratch<Real>& scratch) {
  const graph::KvState& state = call.cache.state();
  CHECK(call.op.heads % state.heads == 0 && call.q.width == call.op.heads * state.key_width);
  CHECK(call.out.width == call.op.heads * state.value_width);
  CHECK(u64(cut.tokens) * call.op.heads <= scratch.softmax.size());
  CHECK(u64(split_rows) * call.out.width <= scratch.split_sums.size());
  const u64 queries = u64(std::min(cut.tile, cut.tokens)) * cut.group * state.key_width;
  CHECK(queries <= scratch.threads[0].queries.size());
}

// A whole attention, all positions of a tile in their order.
template <class Real>
void attention(const AttentionCall<Real>& call, AttentionScratch<Real>& scratch) {
  const AttentionCut cut = call.cut();
  check_fits(call, cut, scratch);
  begin_attention(call, {0, cut.tokens}, scratch);
  for (u32 head = 0; head < cut.heads; ++head) {
    for (u32 first = 0; first < cut.tokens; first += cut.tile) {
      const Span tokens{first, std::min(first + cut.tile, cut.tokens)};
      const AttentionCut::Unit all{.head = head, .tokens = tokens, .positions = cut.seen_by(tokens)};
      attend(call, cut, all, call.out, scratch.softmax.data(), scratch.threads[0]);
    }
  }
  end_attention(call, {0, cut.tokens}, scratch);
}

}  // namespace pronk::cpu
