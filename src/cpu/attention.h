// The KV cache in CPU memory, and attention over it.
#pragma once

#include <limits>
#include <vector>

#include "base/half.h"
#include "cpu/operations.h"
#include "graph/kv_type.h"

namespace pronk::cpu {

// Keys and values lie as [layer][keys, values][KV head][position][dim], in Real or, for KvType::f16, rounded to f16.
template <class Real>
class KvCache {
 public:
  KvCache(const graph::Heads& heads, u32 layers, u32 context_length, graph::KvType type)
      : heads_(heads), context_length_(context_length) {
    const std::size_t count = to_size(elements(heads, layers, context_length));
    if (type == graph::KvType::f16) {
      halves_.resize(count);
    } else {
      reals_.resize(count);
    }
  }

  static u64 bytes(const graph::Heads& heads, u32 layers, u32 context_length, graph::KvType type) {
    return elements(heads, layers, context_length) * (type == graph::KvType::f16 ? sizeof(u16) : sizeof(Real));
  }
  u64 bytes() const { return halves_.size() * sizeof(u16) + reals_.size() * sizeof(Real); }

  // k, v: one row for each position from `position` on.
  void store(u32 layer, u32 position, Rows<const Real> k, Rows<const Real> v) {
    CHECK(k.width == heads_.kv * heads_.dim && v.width == k.width);
    for (u32 t = 0; t < k.count; ++t) {
      for (u32 head = 0; head < heads_.kv; ++head) {
        put(start(layer, 0, head, position + t), k[t] + head * heads_.dim);
        put(start(layer, 1, head, position + t), v[t] + head * heads_.dim);
      }
    }
  }

  // [count][dim] from position `first` on; in the cache itself, or converted into scratch.
  const Real* keys(u32 layer, u32 head, u32 first, u32 count, Real* scratch) const {
    return get(start(layer, 0, head, first), count * heads_.dim, scratch);
  }
  const Real* values(u32 layer, u32 head, u32 first, u32 count, Real* scratch) const {
    return get(start(layer, 1, head, first), count * heads_.dim, scratch);
  }

 private:
  static u64 elements(const graph::Heads& heads, u32 layers, u32 context_length) {
    return u64(layers) * 2 * heads.kv * context_length * heads.dim;
  }
  u64 start(u32 layer, u32 which, u32 head, u32 position) const {
    return (((u64(layer) * 2 + which) * heads_.kv + head) * context_length_ + position) * heads_.dim;
  }
  void put(u64 at, const Real* from) {
    if (halves_.empty()) {
      std::copy_n(from, heads_.dim, reals_.data() + at);
    } else {
      for (u32 i = 0; i < heads_.dim; ++i) halves_[at + i] = f32_to_f16(float(from[i]));
    }
  }
  const Real* get(u64 at, u32 count, Real* scratch) const {
    if (halves_.empty()) return reals_.data() + at;
    for (u32 i = 0; i < count; ++i) scratch[i] = Real(f16_to_f32(halves_[at + i]));
    return scratch;
  }

  graph::Heads heads_;
  u32 context_length_;
  std::vector<Real> reals_;
  std::vector<u16> halves_;
};

constexpr u32 kv_block = 32;  // positions that are converted at a time, for all query heads and tokens that read them

// What the online softmax (arXiv 1805.02867) carries from block to block.
template <class Real>
struct Softmax {
  Real largest = -std::numeric_limits<Real>::infinity();
  Real sum = 0;  // of exp(score − largest)
};

template <class Real>
struct AttentionScratch {
  std::vector<Real> keys, values;      // [kv_block][dim]
  std::vector<Softmax<Real>> softmax;  // [tokens][query heads of one KV head]

  AttentionScratch(const graph::Heads& heads, u32 tokens)
      : keys(kv_block * heads.dim), values(kv_block * heads.dim), softmax(u64(tokens) * (heads.query / heads.kv)) {}

  static u64 bytes(const graph::Heads& heads, u32 tokens) {
    return 2 * u64(kv_block) * heads.dim * sizeof(Real) +
           u64(tokens) * (heads.query / heads.kv) * sizeof(Softmax<Real>);
  }
  u64 bytes() const { return (keys.size() + values.size()) * sizeof(Real) + softmax.size() * sizeof(Softmax<Real>); }
};

// Adds `count` positions to one head's running sum of weighted values, out.
template <class Real>
void attend_block(const Real* q, const Real* keys, const Real* values, u32 count, u32 dim, Real scale,
                  Softmax<Real>& state, Real* out) {
  Real weights[kv_block];
  Real largest = state.largest;
  for (u32 p = 0; p < count; ++p) {
    weights[p] = scale * dot(q, keys + u64(p) * dim, dim);
    largest = std::max(largest, weights[p]);
  }
  if (largest > state.largest) {
    const Real keep = std::exp(state.largest - largest);  // 0 in the first block
    for (u32 i = 0; i < dim; ++i) out[i] *= keep;
    state = {largest, state.sum * keep};
  }
  for (u32 p = 0; p < count; ++p) {
    const Real weight = std::exp(weights[p] - largest);
    const Real* value = values + u64(p) * dim;
    state.sum += weight;
    for (u32 i = 0; i < dim; ++i) out[i] += weight * value[i];
  }
}

// Row t of q stands at `position + t` and sees the cache up to and including itself.
template <class Real>
void attention(const KvCache<Real>& cache, u32 layer, const graph::Heads& heads, Rows<const Real> q, u32 position,
               AttentionScratch<Real>& scratch, Rows<Real> out) {
  CHECK(q.width == heads.query * heads.dim && heads.query % heads.kv == 0);
  const u32 group = heads.query / heads.kv;
  CHECK(u64(q.count) * group <= scratch.softmax.size());
  for (u32 t = 0; t < q.count; ++t) std::fill_n(out[t], out.width, Real(0));
  for (u32 kv = 0; kv < heads.kv; ++kv) {
    std::fill(scratch.softmax.begin(), scratch.softmax.end(), Softmax<Real>{});
    const u32 end = position + q.count;
    for (u32 first = 0; first < end; first += kv_block) {
      const u32 count = std::min(kv_block, end - first);
      const Real* keys = cache.keys(layer, kv, first, count, scratch.keys.data());
      const Real* values = cache.values(layer, kv, first, count, scratch.values.data());
      for (u32 t = first > position ? first - position : 0; t < q.count; ++t) {
        const u32 visible = std::min(count, position + t + 1 - first);
        for (u32 g = 0; g < group; ++g) {
          const u32 column = (kv * group + g) * heads.dim;
          attend_block(q[t] + column, keys, values, visible, heads.dim, Real(heads.scale),
                       scratch.softmax[u64(t) * group + g], out[t] + column);
        }
      }
    }
    for (u32 t = 0; t < q.count; ++t) {
      for (u32 g = 0; g < group; ++g) {
        Real* head = out[t] + (kv * group + g) * heads.dim;
        const Real scale = 1 / scratch.softmax[u64(t) * group + g].sum;
        for (u32 i = 0; i < heads.dim; ++i) head[i] *= scale;
      }
    }
  }
}

}  // namespace pronk::cpu
