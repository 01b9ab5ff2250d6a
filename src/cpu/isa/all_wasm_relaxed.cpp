#include "cpu/isa/all.h"

namespace pronk::cpu {

std::span<const Kernels* const> compiled_kernels() {
  static constexpr const Kernels* all[] = {&wasm_relaxed_kernels};
  return all;
}

}  // namespace pronk::cpu
