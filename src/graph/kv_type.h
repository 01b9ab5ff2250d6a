// What an element of the KV cache is stored as.
#pragma once

#include "base/types.h"

namespace pronk::graph {

enum class KvType : u8 { f32, f16 };

constexpr u32 kv_bytes(KvType type) { return type == KvType::f32 ? 4 : 2; }  // of one element

}  // namespace pronk::graph
