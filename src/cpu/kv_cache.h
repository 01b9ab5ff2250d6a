// The KV cache in CPU memory.
#pragma once

#include <cmath>
#include <cstring>
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
  u8* data() { return type_ == graph::KvType::f32 ? reinterpret_cast<u8*>(reals_.data()) : bytes_.data(); }

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
    copy(row, count, scratch, kernels);
    return scratch;
  }
  void copy(u64 row, u32 count, Real* scratch, const Kernels* kernels = nullptr) const {
    if (type_ == graph::KvType::f32) {
      std::copy_n(reals_.data() + row * dim_, u64(count) * dim_, scratch);
      return;
    }
    for (u32 r = 0; r < count; ++r) convert(bytes_.data() + (row + r) * row_bytes_, scratch + u64(r) * dim_, kernels);
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
  void convert(const u8* from, Real* to, const Kernels* kernels) const {
    if constexpr (std::is_same_v<Real, float>) {
      if (kernels && type_ == graph::KvType::f16) return kernels->from_halves(from, dim_, to);
      if (kernels) {
        const auto from_blocks = type_ == graph::KvType::q8 ? kernels->from_bytes : kernels->from_nibbles;
        return from_blocks(from, from + scales_at(), dim_, block_, to);
      }
    }
    type_ == graph::KvType::f16 ? get_halves(from, to) : get_blocks(from, to);
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

// The keys and values of a KV state: [KV head][row][width]. Position p lies in row p mod capacity.
template <class Real>
class KvCache {
 public:
  KvCache(const graph::KvState& state, u32 capacity, graph::KvTypes types)
      : state_(state),
        capacity_(capacity),
        hadamard_size_(hadamard_size(state, types)),
        keys_(types.k, state.key_width, u64(state.heads) * capacity),
        values_(types.v, state.value_width, state.values_in_keys ? 0 : u64(state.heads) * capacity) {
    CHECK(capacity > 0 && (!state.values_in_keys || state.value_width <= state.key_width));
  }

  static u64 bytes(const graph::KvState& state, u32 capacity, graph::KvTypes types) {
    u64 row = KvRows<Real>::row_bytes(types.k, state.key_width);
    if (!state.values_in_keys) row += KvRows<Real>::row_bytes(types.v, state.value_width);
    return u64(state.heads) * capacity * row;
  }
  u64 bytes() const { return keys_.bytes() + values_.bytes(); }

  const graph::KvState& state() const { return state_; }
  u32 capacity() const { return capacity_; }
  // Floats from one of the values that values() gives to the next.
  u32 value_stride() const { return state_.values_in_keys ? state_.key_width : state_.value_width; }

  // k, v: one row for each position from `position` on, at most `capacity`. v is empty where values lie in the keys.
  // scratch: a key's width. Several threads may store different positions, each with a scratch of its own.
  void store(u32 position, Rows<const Real> k, Rows<const Real> v, Real* scratch) {
    const u32 width = state_.key_width;
    CHECK(k.width == state_.heads * width && k.count <= capacity_);
    CHECK(state_.values_in_keys || v.width == state_.heads * state_.value_width);
    for (u32 t = 0; t < k.count; ++t) {
      for (u32 head = 0; head < state_.heads; ++head) {
        const u64 row = u64(head) * capacity_ + (position + t) % capacity_;
        const Real* key = k[t] + head * width;
        if (hadamard_size_ > 1) {
          std::copy_n(key, width, scratch);
          hadamard(scratch, width, hadamard_size_);
          key = scratch;
        }
        keys_.put(row, key);
        if (!state_.values_in_keys) values_.put(row, v[t] + head * state_.value_width);
      }
    }
  }
  // Positions below `end` are stored now.
  void stored(u32 end) { oldest_ = std::max(oldest_, end - std::min(end, capacity_)); }

  // The first position that has not been overwritten by a later one.
  u32 oldest() const { return oldest_; }
  void forget() { oldest_ = 0; }  // all is written anew, from position 0 on

  // For what is saved (graph/saved_state.h): rows of [KV head][row].
  u8* key_bytes() { return keys_.data(); }
  u8* value_bytes() { return values_.data(); }
  void hold_from(u32 oldest) { oldest_ = oldest; }  // the rows of earlier positions are of none

  // What a query must go through to meet the keys; and what a sum of values, where these lie in the keys, to be one of
  // the values that were given. The transform is its own inverse.
  void transform_as_keys(Real* row) const {
    if (hadamard_size_ > 1) hadamard(row, state_.key_width, hadamard_size_);
  }
  void transform_back(Real* sum) const {
    if (hadamard_size_ > 1 && state_.values_in_keys) hadamard(sum, state_.value_width, hadamard_size_);
  }

  // `count` rows from position `first` on; in the cache itself, or converted into scratch.
  const Real* keys(u32 head, u32 first, u32 count, Real* scratch, const Kernels* kernels = nullptr) const {
    return get(keys_, state_.key_width, head, first, count, scratch, kernels);
  }
  // keys: what keys() gave for the same positions.
  const Real* values(u32 head, u32 first, u32 count, const Real* keys, Real* scratch,
                     const Kernels* kernels = nullptr) const {
    return state_.values_in_keys ? keys : get(values_, state_.value_width, head, first, count, scratch, kernels);
  }

 private:
  // Where values lie in the keys, no transform may cross their end.
  static u32 hadamard_size(const graph::KvState& state, graph::KvTypes types) {
    const u32 size = graph::kv_hadamard_size(types.k, state.key_width);
    return state.values_in_keys ? std::min(size, state.value_width & -state.value_width) : size;
  }

  const Real* get(const KvRows<Real>& rows, u32 width, u32 head, u32 first, u32 count, Real* scratch,
                  const Kernels* kernels) const {
    const u64 row = u64(head) * capacity_;
    const u32 at = first % capacity_, before_end = capacity_ - at;
    if (count <= before_end) return rows.get(row + at, count, scratch, kernels);
    rows.copy(row + at, before_end, scratch, kernels);
    rows.copy(row, count - before_end, scratch + u64(before_end) * width, kernels);
    return scratch;
  }

  graph::KvState state_;
  u32 capacity_, hadamard_size_;
  u32 oldest_ = 0;
  KvRows<Real> keys_, values_;
};

}  // namespace pronk::cpu
