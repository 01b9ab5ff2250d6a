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

// What the online softmax (arXiv 1805.02867) carries from block to block.
template <class Real>
struct Softmax {
  Real largest = -std::numeric_limits<Real>::infinity();
  Real sum = 0;  // of exp(score − largest)
};

// What attention over any of a graph's states needs while it runs, in numbers.
struct AttentionSizes {
  u64 queries = 0;           // [tokens][query heads of one KV head][key width]
  u64 keys = 0, values = 0;  // [kv_rows][width]
  u64 softmax = 0;           // [tokens][query heads of one KV head]

  void cover(const graph::KvState& state, u32 heads, u32 tokens) {
    const u64 columns = u64(tokens) * (heads / state.heads);
    queries = std::max(queries, columns * state.key_width);
    keys = std::max(keys, u64(kv_rows) * state.key_width);
    values = std::max(values, u64(kv_rows) * state.value_width);
    softmax = std::max(softmax, columns);
  }
  template <class Real>
  u64 bytes() const {
    return (queries + keys + values) * sizeof(Real) + softmax * sizeof(Softmax<Real>);
  }
};

template <class Real>
struct AttentionScratch {
  std::vector<Real> queries, keys, values;
  std::vector<Softmax<Real>> softmax;

  explicit AttentionScratch(const AttentionSizes& sizes)
      : queries(to_size(sizes.queries)),
        keys(to_size(sizes.keys)),
        values(to_size(sizes.values)),
        softmax(to_size(sizes.softmax)) {}
  u64 bytes() const {
    return AttentionSizes{queries.size(), keys.size(), values.size(), softmax.size()}.template bytes<Real>();
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

// How the attention of `tokens` queries, the first at `position`, is cut: a block is kv_rows positions of one KV head.
struct AttentionBlocks {
  u32 window;  // 0: none
  bool causal;
  Span run;      // the positions of the whole run, which a query that is not causal sees
  Span seen;     // by any of the queries
  u32 heads;     // KV heads
  u32 per_head;  // the blocks of head h are h · per_head and those after it

  AttentionBlocks(const graph::Attention& op, const graph::KvState& state, u32 position, u32 tokens, Span r)
      : window(op.window), causal(op.causal), run(r), heads(state.heads) {
    seen = {seen_from(position).first, seen_from(position + tokens - 1).end};
    per_head = u32(ceil_div(seen.end - seen.first, kv_rows));
  }
  u64 count() const { return u64(heads) * per_head; }

  Span seen_from(u32 position) const {
    if (causal) return {window != 0 && position >= window ? position + 1 - window : 0, position + 1};
    if (window == 0) return run;
    const u32 half = window / 2;
    return {std::max(run.first, position - std::min(position, half)),
            u32(std::min<u64>(run.end, u64(position) + half + 1))};
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
  Span run;          // see AttentionBlocks
  Rows<Real> out;
  const Kernels* kernels = nullptr;  // those of an instruction set, for floats; null: plain loops

  u32 group() const { return op.heads / cache.state().heads; }
  AttentionBlocks blocks() const { return {op, cache.state(), position, q.count, run}; }
};

// The queries of one KV head, and an empty sum for each.
template <class Real>
void begin_head(const AttentionCall<Real>& call, u32 kv, AttentionScratch<Real>& scratch) {
  const graph::KvState& state = call.cache.state();
  const u32 group = call.group(), columns = group * state.key_width;
  for (u32 t = 0; t < call.q.count; ++t) {
    Real* queries = &scratch.queries[u64(t) * columns];
    std::copy_n(call.q[t] + kv * columns, columns, queries);
    for (u32 g = 0; g < group; ++g) {
      call.cache.transform_as_keys(queries + g * state.key_width);
      scratch.softmax[u64(t) * group + g] = call.sinks ? Softmax<Real>{call.sinks[kv * group + g], 1} : Softmax<Real>{};
    }
    std::fill_n(call.out[t] + kv * group * state.value_width, group * state.value_width, Real(0));
  }
}

template <class Real>
void end_head(const AttentionCall<Real>& call, u32 kv, const AttentionScratch<Real>& scratch) {
  const u32 group = call.group(), width = call.cache.state().value_width;
  for (u32 t = 0; t < call.out.count; ++t) {
    for (u32 g = 0; g < group; ++g) {
      Real* head = call.out[t] + (kv * group + g) * width;
      const Real scale = 1 / scratch.softmax[u64(t) * group + g].sum;
      for (u32 i = 0; i < width; ++i) head[i] *= scale;
      call.cache.transform_back(head);
    }
  }
}

// One block; all of them in order are the attention. Between two blocks of a head nobody else may use the scratch.
template <class Real>
void attend(const AttentionCall<Real>& call, u64 block, AttentionScratch<Real>& scratch) {
  const graph::KvState& state = call.cache.state();
  const u32 group = call.group();
  CHECK(call.op.heads % state.heads == 0 && call.q.width == call.op.heads * state.key_width);
  CHECK(call.out.width == call.op.heads * state.value_width && u64(call.q.count) * group <= scratch.softmax.size());
  const AttentionBlocks blocks = call.blocks();
  const u32 kv = u32(block / blocks.per_head);
  const u32 first = blocks.seen.first + u32(block % blocks.per_head) * kv_rows;
  if (first == blocks.seen.first) begin_head(call, kv, scratch);
  const u32 count = std::min(kv_rows, blocks.seen.end - first);
  const Real* keys = call.cache.keys(kv, first, count, scratch.keys.data(), call.kernels);
  const Real* values = call.cache.values(kv, first, count, keys, scratch.values.data(), call.kernels);
  const AttendShape shape{state.key_width, state.value_width, call.cache.value_stride(), call.op.scale,
                          call.op.soft_cap};
  for (u32 t = 0; t < call.q.count; ++t) {
    const Span seen = blocks.seen_from(call.position + t);
    const u32 from = std::max(seen.first, first), end = std::min(seen.end, first + count);
    if (from >= end) continue;
    const Real* k = keys + u64(from - first) * shape.key_width;
    const Real* v = values + u64(from - first) * shape.value_stride;
    for (u32 g = 0; g < group; ++g) {
      const u64 at = u64(t) * group + g;
      const Real* query = &scratch.queries[at * state.key_width];
      Real* sum = call.out[t] + (kv * group + g) * state.value_width;
      if constexpr (std::is_same_v<Real, float>) {
        if (call.kernels) {
          call.kernels->attend(shape, query, k, v, end - from, scratch.softmax[at], sum);
          continue;
        }
      }
      attend_block(shape, query, k, v, end - from, scratch.softmax[at], sum);
    }
  }
  if ((block + 1) % blocks.per_head == 0) end_head(call, kv, scratch);
}

// A whole attention.
template <class Real>
void attention(const AttentionCall<Real>& call, AttentionScratch<Real>& scratch) {
  const u64 blocks = call.blocks().count();
  for (u64 block = 0; block < blocks; ++block) attend(call, block, scratch);
}

}  // namespace pronk::cpu
