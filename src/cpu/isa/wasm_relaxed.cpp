#include <wasm_simd128.h>

#include "cpu/isa/all.h"

namespace pronk::cpu {

static bool runs_here() { return true; }

namespace {
#include "cpu/isa/vectors.h"
#include "cpu/isa/wasm_common.h"
//
#include "cpu/isa/wasm_relaxed.h"
//
#include "cpu/isa/instance.h"
}  // namespace

const Kernels wasm_relaxed_kernels = kernels_named("wasm-relaxed");

}  // namespace pronk::cpu
