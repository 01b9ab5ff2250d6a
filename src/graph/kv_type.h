// How keys and values are kept in the cache.
#pragma once

#include "base/types.h"

namespace pronk::graph {

// q8 and q4: blocks of 32 numbers of a head's row as a scale of f16 times signed integers of 8 or 4 bits; the last block
// of a row may be shorter.
enum class KvType : u8 { f32, f16, q8, q4 };

// Keys and values each have a type.
struct KvTypes {
  KvType k, v;
  constexpr KvTypes(KvType both) : k(both), v(both) {}
  constexpr KvTypes(KvType keys, KvType values) : k(keys), v(values) {}
  bool operator==(const KvTypes&) const = default;
};

// Bytes of one head's row at one position, a multiple of 4. In the quantized types the integers lie in front, then the
// scales, two a word.
constexpr u64 kv_row_bytes(KvType type, u32 dim) {
  const u64 scales = ceil_div(ceil_div(dim, 32), 2) * 4;
  switch (type) {
    case KvType::f32: return dim * 4;
    case KvType::f16: return dim * 2;
    case KvType::q8: return dim + scales;
    case KvType::q4: return ceil_div(dim, 8) * 4 + scales;
  }
  return 0;
}

}  // namespace pronk::graph
