// How the CPU keeps the activations that matrices are multiplied by.
#pragma once

#include "base/types.h"

namespace pronk::graph {

enum class Activations : u8 {
  q8,   // 8-bit integers, 32 to a scale, wherever the weights have an integer dot product
  f32,  // as they are: slower, and exact but for float32's rounding
};

}  // namespace pronk::graph
