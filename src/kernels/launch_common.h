// What the lowerings of all operations use.
#pragma once

#include <cstring>
#include <string_view>
#include <vector>

#include "kernels/launch.h"
#include "kernels/shader.h"

namespace pronk::kernels {

// Parameters as a uniform buffer holds them.
template <class Params>
std::vector<u8> bytes_of(const Params& params) {
  std::vector<u8> bytes(align_up(sizeof params, 16));
  std::memcpy(bytes.data(), &params, sizeof params);
  return bytes;
}

// `columns` threads for each token.
inline void over_columns(Launch& launch, u32 columns, u32 workgroup) {
  launch.grid = {u32(ceil_div(columns, workgroup))};
  launch.scale = {Scale::Axis::y};
}

}  // namespace pronk::kernels
