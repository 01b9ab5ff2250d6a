// How keys and values are kept in the cache.
#pragma once

#include <algorithm>

#include "base/types.h"

namespace pronk::graph {

// q8 and q4: blocks of a head's row as a scale of f16 times signed integers of 8 or 4 bits.
enum class KvType : u8 { f32, f16, q8, q4 };

// Keys and values each have a type.
struct KvTypes {
  KvType k, v;
  constexpr KvTypes(KvType both) : k(both), v(both) {}
  constexpr KvTypes(KvType keys, KvType values) : k(keys), v(values) {}
  bool operator==(const KvTypes&) const = default;
};

constexpr u32 kv_block = 32;

// What heads of `dim` numbers are kept as. Those shorter than a block would save little with 4 bits and lose much
// (heads of 8: 0.2 nats a token), so they keep 8.
constexpr KvType kv_stored(KvType type, u32 dim) { return type == KvType::q4 && dim < kv_block ? KvType::q8 : type; }

// Numbers that share a scale, a multiple of 4: 32, or half of a head under 64. A row's last block may have fewer.
constexpr u32 kv_block_of(u32 dim) { return u32(std::min<u64>(kv_block, ceil_div(dim, 8) * 4)); }

// Quantized keys go through an orthonormal Hadamard transform, and the queries that meet them too, which changes no
// product; it shares the few large numbers of a key out among all, so that they cost the rest less (arXiv 2404.00456).
// It works on this many numbers at a time, a power of two; 1: none.
constexpr u32 kv_hadamard_size(KvType type, u32 dim) {
  return type == KvType::q8 || type == KvType::q4 ? dim & -dim : 1;
}

// Bytes of one head's row at one position, a multiple of 4. In the quantized types the integers lie in front, then the
// scales, two a word.
constexpr u64 kv_row_bytes(KvType type, u32 dim) {
  const u64 scales = ceil_div(ceil_div(dim, kv_block_of(dim)), 2) * 4;
  switch (kv_stored(type, dim)) {
    case KvType::f32:
      return dim * 4;
    case KvType::f16:
      return dim * 2;
    case KvType::q8:
      return dim + scales;
    case KvType::q4:
      return ceil_div(dim, 8) * 4 + scales;
  }
  return 0;
}

}  // namespace pronk::graph
