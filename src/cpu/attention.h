// The KV cache in CPU memory, and attention over it.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/bytes.h"
#include "base/half.h"
#include "cpu/kernels.h"
#include "cpu/operations.h"
#include "graph/kv_type.h"

namespace pronk::cpu {

// The orthonormal Hadamard transform of each `size` numbers, a power of two, of a row (see graph/kv_type.h).
template <class Real>
void hadamard(Real* row, u32 dim, u32 size) {
  const Real scale = 1 / std::sqrt(Real(size));
  for (u32 i = 0; i < dim; ++i) row[i] *= scale;
  for (u32 half = 1; half < size; half *= 2) {
    for (u32 first = 0; first < dim; first += 2 * half) {
      for (u32 i = first; i < first + half; ++i) {
        const Real a = row[i], b = row[i + half];
        row[i] = a + b, row[i + half] = a - b;
      }
    }
  }
}

// Rows of one head at one position, in Real or in the type that a GPU's cache would have (graph/kv_type.h).
template <class Real>
class KvRows {
 public:
  KvRows(graph::KvType type, u32 dim, u64 rows)
      : type_(graph::kv_stored(type, dim)),
        dim_(dim),
        block_(graph::kv_block_of(dim)),
        row_bytes_(row_bytes(type, dim)) {
    if (type == graph::KvType::f32) {
      reals_.resize(to_size(rows * dim));
    } else {
      bytes_.resize(to_size(rows * row_bytes_));
    }
  }
  static u64 row_bytes(graph::KvType type, u32 dim) {
    return type == graph::KvType::f32 ? dim * sizeof(Real) : graph::kv_row_bytes(type, dim);
  }
  u64 bytes() const { return reals_.size() * sizeof(Real) + bytes_.size(); }

  void put(u64 row, const Real* from) {
    if (type_ == graph::KvType::f32) {
      std::copy_n(from, dim_, reals_.data() + row * dim_);
      return;
    }
    u8* to = bytes_.data() + row * row_bytes_;
    type_ == graph::KvType::f16 ? put_halves(to, from) : put_blocks(to, from);
  }
  // [count][dim], in place or converted into scratch.
  const Real* get(u64 row, u32 count, Real* scratch, const Kernels* kernels = nullptr) const {
    if (type_ == graph::KvType::f32) return reals_.data() + row * dim_;
    if constexpr (std::is_same_v<Real, float>) {
      if (kernels && type_ == graph::KvType::f16) {
        for (u32 r = 0; r < count; ++r) {
          kernels->from_halves(bytes_.data() + (row + r) * row_bytes_, dim_, scratch + u64(r) * dim_);
        }
        return scratch;
      }
    }
    for (u32 r = 0; r < count; ++r) {
      const u8* from = bytes_.data() + (row + r) * row_bytes_;
      Real* to = scratch + u64(r) * dim_;
      type_ == graph::KvType::f16 ? get_halves(from, to) : get_blocks(from, to);
    }
    return scratch;
  }

 private:
  void put_halves(u8* to, const Real* from) const {
    for (u32 i = 0; i < dim_; ++i) store_half(to + 2 * i, float(from[i]));
  }
  void get_halves(const u8* from, Real* to) const {
    for (u32 i = 0; i < dim_; ++i) to[i] = Real(f16_to_f32(load_le<u16>(from + 2 * i)));
  }
  static void store_half(u8* to, float value) {
    const u16 half = f32_to_f16(value);
    std::memcpy(to, &half, sizeof half);
  }
  u64 scales_at() const { return type_ == graph::KvType::q8 ? dim_ : ceil_div(dim_, 8) * 4; }

  void put_blocks(u8* to, const Real* from) const {
    std::fill_n(to, row_bytes_, u8(0));
    for (u32 first = 0; first < dim_; first += block_) {
      const u32 end = std::min(first + block_, dim_);
      float furthest = 0;
      for (u32 i = first; i < end; ++i) {
        if (std::fabs(float(from[i])) > std::fabs(furthest)) furthest = float(from[i]);
      }
      const bool bytes = type_ == graph::KvType::q8;
      const float scale = bytes ? std::fabs(furthest) / 127 : furthest / -8;
      const float inverse = std::fabs(scale) >= 0x1p-126f ? 1 / scale : 0;  // 1 / scale must not overflow
      for (u32 i = first; i < end; ++i) {
        const float product = float(from[i]) * inverse;
        const float n = std::fabs(product) < 128 ? product : 0;  // only what is not finite is larger
        if (bytes) {
          to[i] = u8(i8(std::nearbyint(n)));
        } else {
          to[i / 2] |= u8(std::min(15, int(n + 8.5f)) << (i % 2 * 4));
        }
      }
      store_half(to + scales_at() + first / block_ * 2, scale);
    }
  }
  void get_blocks(const u8* from, Real* to) const {
    for (u32 i = 0; i < dim_; ++i) {
      const float scale = f16_to_f32(load_le<u16>(from + scales_at() + i / block_ * 2));
      const int n = type_ == graph::KvType::q8 ? int(i8(from[i])) : int(from[i / 2] >> (i % 2 * 4) & 15) - 8;
      to[i] = Real(scale * float(n));
    }
  }

  graph::KvType type_;
  u32 dim_, block_;
  u64 row_bytes_;
  std::vector<Real> reals_;
  std::vector<u8> bytes_;
};

// Keys and values, each [layer][KV head][position][dim].
template <class Real>
class KvCache {
 public:
  KvCache(const graph::Heads& heads, u32 layers, u32 context_length, graph::KvTypes types)
      : heads_(heads),
        context_length_(context_length),
        hadamard_size_(graph::kv_hadamard_size(types.k, heads.dim)),
        transformed_(hadamard_size_ > 1 ? heads.dim : 0),
        keys_(types.k, heads.dim, u64(layers) * heads.kv * context_length),
        values_(types.v, heads.dim, u64(layers) * heads.kv * context_length) {}

  static u64 bytes(const graph::Heads& heads, u32 layers, u32 context_length, graph::KvTypes types) {
    const u64 rows = u64(layers) * heads.kv * context_length;
    const u64 transformed = graph::kv_hadamard_size(types.k, heads.dim) > 1 ? heads.dim * sizeof(Real) : 0;
    return rows * (KvRows<Real>::row_bytes(types.k, heads.dim) + KvRows<Real>::row_bytes(types.v, heads.dim)) +
           transformed;
  }
  u64 bytes() const { return keys_.bytes() + values_.bytes() + transformed_.size() * sizeof(Real); }

  // k, v: one row for each position from `position` on.
  void store(u32 layer, u32 position, Rows<const Real> k, Rows<const Real> v) {
    const u32 dim = heads_.dim;
    CHECK(k.width == heads_.kv * dim && v.width == k.width);
    for (u32 t = 0; t < k.count; ++t) {
      for (u32 head = 0; head < heads_.kv; ++head) {
        const Real* key = k[t] + head * dim;
        if (hadamard_size_ > 1) {
          std::copy_n(key, dim, transformed_.data());
          hadamard(transformed_.data(), dim, hadamard_size_);
          key = transformed_.data();
        }
        keys_.put(row(layer, head, position + t), key);
        values_.put(row(layer, head, position + t), v[t] + head * dim);
      }
    }
  }

  // What a query must go through to meet the keys.
  void transform_as_keys(Real* row) const {
    if (hadamard_size_ > 1) hadamard(row, heads_.dim, hadamard_size_);
  }

  // [count][dim] from position `first` on; in the cache itself, or converted into scratch.
  const Real* keys(u32 layer, u32 head, u32 first, u32 count, Real* scratch, const Kernels* kernels = nullptr) const {
    return keys_.get(row(layer, head, first), count, scratch, kernels);
  }
  const Real* values(u32 layer, u32 head, u32 first, u32 count, Real* scratch, const Kernels* kernels = nullptr) const {
    return values_.get(row(layer, head, first), count, scratch, kernels);
  }

 private:
  u64 row(u32 layer, u32 head, u32 position) const {
    return (u64(layer) * heads_.kv + head) * context_length_ + position;
  }

  graph::Heads heads_;
  u32 context_length_, hadamard_size_;
  std::vector<Real> transformed_;  // a key on its way in; empty where keys are not transformed
  KvRows<Real> keys_, values_;
};

constexpr u32 kv_rows = 32;  // positions that are converted at a time, for all query heads and tokens that read them

// What the online softmax (arXiv 1805.02867) carries from block to block.
template <class Real>
struct Softmax {
  Real largest = -std::numeric_limits<Real>::infinity();
  Real sum = 0;  // of exp(score − largest)
};

template <class Real>
struct AttentionScratch {
  std::vector<Real> queries;           // [tokens][query heads of one KV head][dim]
  std::vector<Real> keys, values;      // [kv_rows][dim]
  std::vector<Softmax<Real>> softmax;  // [tokens][query heads of one KV head]

  AttentionScratch(const graph::Heads& heads, u32 tokens)
      : queries(u64(tokens) * (heads.query / heads.kv) * heads.dim),
        keys(kv_rows * heads.dim),
        values(kv_rows * heads.dim),
        softmax(u64(tokens) * (heads.query / heads.kv)) {}

  static u64 bytes(const graph::Heads& heads, u32 tokens) {
    const u64 columns = u64(tokens) * (heads.query / heads.kv);
    return (columns + 2 * kv_rows) * heads.dim * sizeof(Real) + columns * sizeof(Softmax<Real>);
  }
  u64 bytes() const {
    return (queries.size() + keys.size() + values.size()) * sizeof(Real) + softmax.size() * sizeof(Softmax<Real>);
  }
};

// Adds `count` positions to one head's running sum of weighted values, out.
template <class Real>
void attend_block(const Real* q, const Real* keys, const Real* values, u32 count, u32 dim, Real scale,
                  Softmax<Real>& state, Real* out) {
  Real weights[kv_rows];
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

// How the attention of some tokens over the cache is cut: a block is kv_rows positions of one KV head.
struct AttentionBlocks {
  u32 heads;     // KV heads
  u32 per_head;  // the blocks of head h are h · per_head and those after it

  AttentionBlocks(const graph::Heads& h, u32 position, u32 tokens)
      : heads(h.kv), per_head(u32(ceil_div(u64(position) + tokens, kv_rows))) {}
  u64 count() const { return u64(heads) * per_head; }
};

// The queries of one KV head, and an empty sum for each.
template <class Real>
void begin_head(const KvCache<Real>& cache, const graph::Heads& heads, Rows<const Real> q, u32 kv,
                AttentionScratch<Real>& scratch, Rows<Real> out) {
  const u32 group = heads.query / heads.kv, columns = group * heads.dim;
  std::fill(scratch.softmax.begin(), scratch.softmax.end(), Softmax<Real>{});
  for (u32 t = 0; t < q.count; ++t) {
    Real* queries = &scratch.queries[u64(t) * columns];
    std::copy_n(q[t] + kv * columns, columns, queries);
    for (u32 g = 0; g < group; ++g) cache.transform_as_keys(queries + g * heads.dim);
    std::fill_n(out[t] + kv * columns, columns, Real(0));
  }
}

template <class Real>
void end_head(const graph::Heads& heads, u32 kv, const AttentionScratch<Real>& scratch, Rows<Real> out) {
  const u32 group = heads.query / heads.kv;
  for (u32 t = 0; t < out.count; ++t) {
    for (u32 g = 0; g < group; ++g) {
      Real* head = out[t] + (kv * group + g) * heads.dim;
      const Real scale = 1 / scratch.softmax[u64(t) * group + g].sum;
      for (u32 i = 0; i < heads.dim; ++i) head[i] *= scale;
    }
  }
}

// One block; all of them in order are the attention. Row t of q stands at `position + t` and sees the cache up to and
// including itself. kernels: those of an instruction set, for floats; null: plain loops. Between two blocks of a head
// nobody else may use the scratch.
template <class Real>
void attend(const KvCache<Real>& cache, u32 layer, const graph::Heads& heads, Rows<const Real> q, u32 position,
            u64 block, AttentionScratch<Real>& scratch, Rows<Real> out, const Kernels* kernels = nullptr) {
  CHECK(q.width == heads.query * heads.dim && heads.query % heads.kv == 0);
  const u32 group = heads.query / heads.kv;
  CHECK(u64(q.count) * group <= scratch.softmax.size());
  const AttentionBlocks blocks(heads, position, q.count);
  const u32 kv = u32(block / blocks.per_head), first = u32(block % blocks.per_head) * kv_rows;
  if (first == 0) begin_head(cache, heads, q, kv, scratch, out);
  const u32 count = std::min(kv_rows, position + q.count - first);
  const Real* keys = cache.keys(layer, kv, first, count, scratch.keys.data(), kernels);
  const Real* values = cache.values(layer, kv, first, count, scratch.values.data(), kernels);
  for (u32 t = first > position ? first - position : 0; t < q.count; ++t) {
    const u32 visible = std::min(count, position + t + 1 - first);
    for (u32 g = 0; g < group; ++g) {
      const u64 at = u64(t) * group + g;
      const Real* query = &scratch.queries[at * heads.dim];
      Real* sum = out[t] + (kv * group + g) * heads.dim;
      if constexpr (std::is_same_v<Real, float>) {
        if (kernels) {
          kernels->attend(query, keys, values, visible, heads.dim, heads.scale, scratch.softmax[at], sum);
          continue;
        }
      }
      attend_block(query, keys, values, visible, heads.dim, Real(heads.scale), scratch.softmax[at], sum);
    }
  }
  if ((block + 1) % blocks.per_head == 0) end_head(heads, kv, scratch, out);
}

template <class Real>
void attention(const KvCache<Real>& cache, u32 layer, const graph::Heads& heads, Rows<const Real> q, u32 position,
               AttentionScratch<Real>& scratch, Rows<Real> out) {
  const u64 blocks = AttentionBlocks(heads, position, q.count).count();
  for (u64 block = 0; block < blocks; ++block) attend<Real>(cache, layer, heads, q, position, block, scratch, out);
}

}  // namespace pronk::cpu
