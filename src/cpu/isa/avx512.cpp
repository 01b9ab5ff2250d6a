#include <immintrin.h>

#include "cpu/isa/all.h"

namespace pronk::cpu {

static bool runs_here() {
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("f16c");
}

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
                             apply_to = function)
namespace {
#include "cpu/isa/vectors.h"
//
#include "cpu/isa/avx512.h"
//
#include "cpu/isa/instance.h"
}  // namespace
#pragma clang attribute pop

const Kernels avx512_kernels = kernels_named("avx512");

}  // namespace pronk::cpu
