#include <immintrin.h>

#include "cpu/isa/all.h"

namespace pronk::cpu {

static bool runs_here() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
namespace {
#include "cpu/isa/vectors.h"
//
#include "cpu/isa/avx2.h"
//
#include "cpu/isa/instance.h"
}  // namespace
#pragma clang attribute pop

const Kernels avx2_kernels = kernels_named("avx2");

}  // namespace pronk::cpu
