#include <arm_neon.h>
#include <sys/auxv.h>

#include "cpu/isa/all.h"

namespace pronk::cpu {

static bool runs_here() { return getauxval(AT_HWCAP) & HWCAP_ASIMDDP; }

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
namespace {
#include "cpu/isa/vectors.h"
//
#include "cpu/isa/neon.h"
//
#include "cpu/isa/instance.h"
}  // namespace
#pragma clang attribute pop

const Kernels neon_kernels = kernels_named("neon");

}  // namespace pronk::cpu
