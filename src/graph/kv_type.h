// What an element of the KV cache is stored as.
#pragma once

#include "base/types.h"

namespace pronk::graph {

enum class KvType : u8 { f32, f16 };

}  // namespace pronk::graph
