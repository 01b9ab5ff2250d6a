#include <wasm_simd128.h>

#include "cpu/isa/all.h"

namespace pronk::cpu {

static bool runs_here() { return true; }

namespace {
#include "cpu/isa/vectors.h"
//
#include "cpu/isa/wasm_relaxed.h"
//
#include "cpu/isa/instance.h"
}  // namespace

const Kernels wasm_relaxed_kernels = {"wasm-relaxed",
                                      runs_here,
                                      sizeof(Quant),
                                      panel_rows,
                                      quantize,
                                      find_quantized,
                                      any_floats,
                                      floats_of_halves,
                                      floats_of_blocks<false>,
                                      floats_of_blocks<true>,
                                      attend,
                                      gate_floats,
                                      multiply_in_cache};

}  // namespace pronk::cpu
