// graph::MatMul on the CPU: one matrix, or one of several for each slot of a token (experts).
#pragma once

#include <vector>

#include "cpu/kernels.h"
#include "cpu/operations.h"
#include "cpu/pool.h"
#include "graph/graph.h"

namespace pronk::cpu {

// Products of the same activations that run as one: at most so many.
constexpr u32 most_together = 4;

// One graph::MatMul on some rows.
template <class Real>
struct ProductCall {
  const graph::MatMul* op = nullptr;
  Matrix weights;              // of all slots' matrices, one after the other
  const Real* bias = nullptr;  // one number a row of weights, or null
  Rows<Real> x;
  Rows<Real> chosen;  // the slots' matrices; no data: those of op->slots in order
  Rows<Real> out;

  bool has_slots() const { return op->slots > 1 || chosen.data; }
};

// Slots that one matrix of several serves: assigned[first] and those after it.
struct SlotGroup {
  u32 matrix = 0, first = 0, count = 0;
};
struct AssignedSlot {
  u32 matrix = 0, slot = 0;  // slot: token · slots + number of the slot
  bool operator<(const AssignedSlot& other) const {
    return matrix != other.matrix ? matrix < other.matrix : slot < other.slot;
  }
};

// What any of a graph's products needs while it runs, in numbers.
struct ProductSizes {
  u64 quants = 0, gathered_quants = 0;  // quantized activations: all rows, those of one expert
  u64 gathered = 0, gathered_out = 0;   // rows of one expert
  u64 assigned = 0;                     // slots of all rows

  void cover(const graph::Graph& graph, const graph::MatMul& op, u32 chunk, bool quantized);
  u64 bytes(u32 quant_bytes, u64 element_bytes) const;
};

template <class Real>
class Products {
 public:
  // quantizes: activations become 8-bit numbers where the format of the weights allows it. chunk: most rows of a call.
  // All of it must outlive the products.
  Products(const ProductSizes& sizes, const Kernels& kernels, bool quantizes, u32 chunk, Pool& pool);
  u64 bytes() const;

  // Values have changed: what was quantized of one counts no longer.
  void forget() { quantized_of_ = graph::ValueId::none; }
  // Goes on with calls of which `part` is done: makes at most about `budget` multiply-adds but at least the smallest
  // piece, by all threads, and returns how many. part is 0 again when all is done. Several calls have one x, no slots,
  // and results that do not overlap.
  u64 step(std::span<const ProductCall<Real>> calls, u64& part, u64 budget);

 private:
  void multiply_part(std::span<const ProductCall<Real>> calls, u32 step, u64 part);
  u64 multiply_slots(const ProductCall<Real>& call, u64& part, u64 budget);
  bool quantized(const ProductCall<Real>& call) const {
    return quantizes_ && takes_quants(kernels_, *call.weights.format, call.weights.cols);
  }
  u32 panel_rows(const ProductCall<Real>& call) const {
    return quantized(call) ? kernels_.panel_rows : kernels_.float_panel_rows;
  }
  void multiply(const Matrix& matrix, RowRange range, Rows<const Real> x, const QuantizedRows* quantized,
                const Real* bias, Rows<Real> out);
  const QuantizedRows& quantize(graph::ValueId id, Rows<const Real> x, u32 parts);
  u32 part_rows(u32 rows, u64 row, u32 panel) const;
  void assign_slots(const ProductCall<Real>& call);
  u32 end_of_batch(const ProductCall<Real>& call, u32 group) const;
  bool gathers(const ProductCall<Real>& call, const SlotGroup& group) const;
  void gather(const ProductCall<Real>& call, const SlotGroup& group);
  void multiply_group(const ProductCall<Real>& call, const SlotGroup& group, RowRange range);
  QuantizedRows quants_of_slot(const ProductCall<Real>& call, u32 slot) const;
  const Real* floats_of_slot(const ProductCall<Real>& call, u32 slot) const;
  QuantizedRows quants_of(const ProductCall<Real>& call, const SlotGroup& group);
  Rows<const Real> floats_of(const ProductCall<Real>& call, const SlotGroup& group);

  const Kernels& kernels_;
  bool quantizes_;
  u32 chunk_;
  Pool& pool_;
  std::vector<Real> gathered_, gathered_out_;
  std::vector<AssignedSlot> assigned_;
  std::vector<SlotGroup> groups_;
  u32 group_count_ = 0;
  QuantizedBuffer quantized_buffer_, gathered_buffer_;
  QuantizedRows quantized_;
  graph::ValueId quantized_of_ = graph::ValueId::none;  // what quantized_ holds: all products that read it share it
  u32 quantized_parts_ = 0;
};

extern template class Products<float>;
extern template class Products<double>;

}  // namespace pronk::cpu
