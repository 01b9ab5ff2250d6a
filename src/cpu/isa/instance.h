// The kernels of one instruction set: included inside a namespace without a name, in a region that is compiled for
// that instruction set, after its primitives.

#include "cpu/isa/weights.h"
//
#include "cpu_dots.h"  // generated: the Dot of each format that has one, in a namespace of its own, and PRONK_DOTS
//
#include "cpu/isa/float_operations.h"
#include "cpu/isa/float_products.h"
#include "cpu/isa/integer_products.h"
//
#include "cpu/isa/additive_products.h"
#include "cpu/isa/multiply_rate.h"

struct Decoded {};  // stands for the formats without a Dot: their codecs decode them

template <class Dot>
MultiplyQuantized* integer_product() {
  if constexpr (requires { Dot::group; }) {
    return multiply_quantized<Dot>;
  } else {
    return nullptr;
  }
}

using MultiplyFloats = decltype(Kernels::floats);

template <class Dot>
MultiplyFloats float_product() {
  if constexpr (requires { Dot::weight_bytes; }) {
    return multiply_floats<Dot>;
  } else {
    return multiply_floats<Decoded>;
  }
}

MultiplyQuantized* find_quantized(const formats::Format& format) {
#define PRONK_DOT(codec, format_name) \
  if (format.name == format_name) return integer_product<codec::Dot>();
  PRONK_DOTS
#undef PRONK_DOT
  return formats::is_additive(format) ? multiply_additive : nullptr;
}

MultiplyFloats find_floats(const formats::Format& format) {
#define PRONK_DOT(codec, format_name) \
  if (format.name == format_name) return float_product<codec::Dot>();
  PRONK_DOTS
#undef PRONK_DOT
  return multiply_floats<Decoded>;
}

void any_floats(const Matrix& matrix, RowRange range, Rows<const float> x, const float* bias, Rows<float> out) {
  find_floats (*matrix.format)(matrix, range, x, bias, out);
}

constexpr Kernels kernels_named(std::string_view name) {
  return {.name = name,
          .runs_here = runs_here,
          .quant_bytes = sizeof(Quant),
          .panel_rows = panel_rows,
          .float_panel_rows = float_panel_rows,
          .quantize = quantize,
          .quantized = find_quantized,
          .floats = any_floats,
          .from_halves = floats_of_halves,
          .from_bytes = floats_of_blocks<false>,
          .from_nibbles = floats_of_blocks<true>,
          .attend = attend,
          .gate = gate_floats,
          .multiply_in_cache = multiply_in_cache};
}
