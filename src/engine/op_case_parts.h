// What the makers of operation cases share.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cpu/operations.h"
#include "engine/op_case.h"

namespace pronk::engine {

using Memory = std::vector<u8>;
using Match = OpAnswer::Match;

Memory memory_of_bytes(const void* data, u64 bytes);
template <class T>
Memory memory_of(const std::vector<T>& values) {
  return memory_of_bytes(values.data(), values.size() * sizeof(T));
}
template <class Params>
Memory params_of(const Params& params) {
  return memory_of_bytes(&params, sizeof params);
}

std::vector<double> doubles(std::span<const float> from);

// Everything is to stay as it was.
OpAnswer unchanged(u32 memory, std::span<const float> before);
void expect(OpAnswer& answer, u64 at, double value, Match match = Match::near);

double sum_tolerance(u32 k);  // of sums of k products in f32

kernels::Operand add_operand(OpCase& op_case, Memory bytes);
// StepState of a step of `rows` tokens.
kernels::Operand add_state(OpCase& op_case, u32 position, u32 rows);
// Operands are indices of the case's memory; parameters and a code book get memory of their own.
void add_step(OpCase& op_case, kernels::Launch launch, u32 tokens = 1);

std::string by(u64 a, u64 b);                         // "a x b"
std::string tokens_shape(u32 tokens);                 // " tokens 3"
std::string function_name(graph::Function function);  // "silu_gate"

// Rows of made-up numbers in a memory of their own, with other numbers around them.
struct MadeUpRows {
  u32 width = 0, tokens = 0;
  kernels::Columns columns;
  std::vector<float> floats;

  MadeUpRows(u32 width, u32 tokens, u32 seed, float spread = 1, float middle = 0);
  std::vector<double> reals() const;  // [tokens][width]
};
// [tokens][width] as operations of the CPU take it.
cpu::Rows<double> rows_of(std::vector<double>& reals, u32 width);

// Where an operation's output goes: among other numbers, zeros behind the last column.
struct OutputRows {
  MadeUpRows before;
  kernels::Operand operand;

  OutputRows(OpCase& op_case, u32 width, u32 tokens, u32 seed);
  kernels::Columns columns() const;
  u32 padding() const;
  OpAnswer answer(std::span<const double> reals) const;  // [tokens][width]
};

graph::RopeTable made_up_rope(graph::RopePairs pairs, u32 rotated);
// Of the tokens of a step, [tokens][pairs].
struct RopeAngles {
  std::vector<double> cosines, sines;
};
RopeAngles rope_angles(const graph::RopeTable& rope, u32 position, u32 tokens);

// A random matrix in the file's layout and in the GPU's.
struct MadeUpMatrix {
  const formats::Format& format;
  u32 rows, cols;
  formats::GpuExtent extent;  // of gpu
  Memory file, gpu;
  std::vector<float> books, scales;  // of an additive format
  static constexpr u32 book_entries = 64;

  MadeUpMatrix(const formats::Format& format, u32 rows, u32 cols, u32 seed);
  // Rows [first, first + count) as in the file.
  cpu::Matrix on_cpu(u32 first, u32 count) const;
  // The same rows alone, in the GPU's layout.
  Memory part(u32 first, u32 count, formats::GpuExtent& extent) const;
};

}  // namespace pronk::engine
