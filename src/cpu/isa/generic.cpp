#include "cpu/isa/all.h"

namespace pronk::cpu {

static bool runs_here() { return true; }

namespace {
#include "cpu/isa/vectors.h"
//
#include "cpu/isa/generic.h"
//
#include "cpu/isa/instance.h"
}  // namespace

const Kernels generic_kernels = kernels_named("generic");

}  // namespace pronk::cpu
