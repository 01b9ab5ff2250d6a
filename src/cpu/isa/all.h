// The instruction sets that a platform's build compiles, one of all_<platform>.cpp.
#pragma once

#include "cpu/attention.h"
#include "cpu/kernels.h"

namespace pronk::cpu {

extern const Kernels generic_kernels, avx2_kernels, avx512_kernels, neon_kernels, wasm_kernels, wasm_relaxed_kernels;

std::span<const Kernels* const> compiled_kernels();  // the fastest first

}  // namespace pronk::cpu
