// Products of a matrix of weights and rows of activations: the part of the CPU back end that is compiled once for each
// instruction set (isa/*.cpp) and chosen when the program runs.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "cpu/operations.h"

namespace pronk::cpu {

constexpr u32 quant_block = 32;    // activations that share a scale
constexpr u32 unit_weights = 256;  // weights of a row that a kernel takes at a time: whole blocks of any format

// Rows of activations as scale · quant, quant from −127 to 127; beyond the width, up to whole units, all is zero.
struct QuantizedRows {
  u32 count = 0;
  u32 width = 0;               // a multiple of quant_block
  u32 stride = 0;              // quants in a row: whole units
  u8* quants = nullptr;        // [count][stride] of Kernels::quant_bytes each
  float* scales = nullptr;     // [count][stride / 32]
  float* sums = nullptr;       // [count][stride / 32]: scale · Σ quants of the block
  float* half_sums = nullptr;  // [count][stride / 16]: the same of each half of a block

  u32 blocks() const { return stride / quant_block; }  // of a row
  QuantizedRows some(u32 first, u32 rows, u32 quant_bytes) const {
    const u64 at = u64(first) * blocks();
    return {
        rows, width, stride, quants + u64(first) * stride * quant_bytes, scales + at, sums + at, half_sums + 2 * at};
  }
};

// Memory for them: for any rows that have at most as many quants as those it was made for.
class QuantizedBuffer {
 public:
  QuantizedBuffer() = default;
  QuantizedBuffer(u64 rows, u32 width, u32 quant_bytes) : QuantizedBuffer(quants_of(rows, width), quant_bytes) {}
  QuantizedBuffer(u64 quants, u32 quant_bytes);
  static u64 quants_of(u64 rows, u32 width);  // with the padding of rows
  static u64 bytes(u64 quants, u32 quant_bytes);
  u64 bytes() const { return quants_.size() + floats_.size() * sizeof(float); }

  QuantizedRows rows(u32 count, u32 width);

 private:
  u64 capacity_ = 0;
  std::vector<u8> quants_;
  std::vector<float> floats_;
};

// Some rows of a matrix: out[t][n] = Σ_k matrix[n][k] · x[t][k] + bias[n] for first ≤ n < end. What comes out does not
// depend on how a matrix is cut into such runs of rows.
struct RowRange {
  u32 first = 0, end = 0;
};
using MultiplyQuantized = void(const Matrix& matrix, RowRange range, const QuantizedRows& x, const float* bias,
                               Rows<float> out);

template <class Real>
struct Softmax;  // attention.h

// Of the keys and values that a query head meets.
struct AttendShape {
  u32 key_width = 0, value_width = 0;
  u32 value_stride = 0;           // floats from one position's value to the next
  float scale = 0, soft_cap = 0;  // see graph::Attention
};

struct Kernels {
  std::string_view name;  // of the instruction set
  bool (*runs_here)();    // this machine has it
  u32 quant_bytes;        // that an activation's quant takes
  // Ranges that start at multiples of it are the fastest: of products of integers, of floats.
  u32 panel_rows, float_panel_rows;
  void (*quantize)(Rows<const float> x, const QuantizedRows& out);
  // Null where the format has no integer dot product: its weights are decoded and multiplied as floats.
  MultiplyQuantized* (*quantized)(const formats::Format& format);
  void (*floats)(const Matrix& matrix, RowRange range, Rows<const float> x, const float* bias, Rows<float> out);

  void (*from_halves)(const u8* from, u64 count, float* out);  // f16
  // out[i] = scales[i / block] · integer i; signed bytes, or nibbles of which 8 is taken off, the lower one first.
  // scales: f16. block: a multiple of 4.
  void (*from_bytes)(const u8* from, const u8* scales, u32 count, u32 block, float* out);
  void (*from_nibbles)(const u8* from, const u8* scales, u32 count, u32 block, float* out);
  // attend_block of attention.h
  void (*attend)(const AttendShape& shape, const float* q, const float* keys, const float* values, u32 count,
                 Softmax<float>& state, float* out);
  // out = g σ(factor · (g + cubic · g³)) · up, in whole vectors of every row: SwiGLU with 1 and 0, GeGLU by tanh with
  // 2 √(2/π) and 0.044715.
  void (*gate)(Rows<const float> gate, Rows<const float> up, float factor, float cubic, Rows<float> out);
  // Makes so many rounds of 8-bit products in the first cache, as fast as the instruction set can; returns how many
  // multiply-adds that were.
  u64 (*multiply_in_cache)(u32 rounds);
};

// Whether a matrix is multiplied with quantized activations: its format can be, and a row is whole blocks of them.
inline bool takes_quants(const Kernels& kernels, const formats::Format& format, u32 cols) {
  return cols % quant_block == 0 && kernels.quantized(format);
}

// All that were compiled and run on this machine, the fastest first; the last runs everywhere.
std::span<const Kernels* const> available_kernels();
// The first of them, or the one that the environment variable PRONK_CPU_ISA names.
const Kernels& best_kernels();
// An error that lists them when PRONK_CPU_ISA names none of them.
Status check_kernels_choice();

}  // namespace pronk::cpu
