// Products of a matrix of weights and rows of activations: the part of the CPU back end that is compiled once for each
// instruction set (isa/*.cpp) and chosen when the program runs.
#pragma once

#include <span>
#include <string_view>
#include <vector>

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
};

// Memory for them.
class QuantizedBuffer {
 public:
  QuantizedBuffer() = default;
  QuantizedBuffer(u32 rows, u32 widest, u32 quant_bytes);
  static u64 bytes(u32 rows, u32 widest, u32 quant_bytes);
  u64 bytes() const { return quants_.size() + floats_.size() * sizeof(float); }

  QuantizedRows rows(u32 count, u32 width);

 private:
  u32 rows_ = 0, stride_ = 0;
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

struct Kernels {
  std::string_view name;  // of the instruction set
  bool (*runs_here)();    // this machine has it
  u32 quant_bytes;        // that an activation's quant takes
  u32 panel_rows;         // ranges that start at multiples of it are the fastest
  void (*quantize)(Rows<const float> x, const QuantizedRows& out);
  // Null where the format has no integer dot product: its weights are decoded and multiplied as floats.
  MultiplyQuantized* (*quantized)(const formats::Format& format);
  void (*floats)(const Matrix& matrix, RowRange range, Rows<const float> x, const float* bias, Rows<float> out);

  void (*from_halves)(const u8* from, u64 count, float* out);  // f16
  // attend_block of attention.h
  void (*attend)(const float* q, const float* keys, const float* values, u32 count, u32 dim, float scale,
                 Softmax<float>& state, float* out);
  void (*swiglu)(Rows<const float> gate, Rows<const float> up, Rows<float> out);  // whole vectors of every row
};

// All that were compiled and run on this machine, the fastest first; the last runs everywhere.
std::span<const Kernels* const> available_kernels();
// The first of them, or the one that the environment variable PRONK_CPU_ISA names.
const Kernels& best_kernels();

}  // namespace pronk::cpu
