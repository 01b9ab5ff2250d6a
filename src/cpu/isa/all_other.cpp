#include "cpu/isa/all.h"

namespace pronk::cpu {

std::span<const Kernels* const> compiled_kernels() {
  static constexpr const Kernels* all[] = {&generic_kernels};
  return all;
}

}  // namespace pronk::cpu
