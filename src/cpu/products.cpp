#include "cpu/products.h"

#include <algorithm>

namespace pronk::cpu {
namespace {

void grow(u64& size, u64 least) { size = std::max(size, least); }

}  // namespace

void ProductSizes::cover(const graph::Graph& graph, const graph::MatMul& op, u32 chunk, bool quantized) {
  const graph::Weight& weight = graph[op.weight];
  if (quantized) grow(quants, QuantizedBuffer::quants_of(u64(chunk) * (graph[op.x].width / weight.cols), weight.cols));
  if (op.slots == 1 && op.chosen == graph::ValueId::none) return;
  grow(assigned, u64(chunk) * op.slots);
  grow(gathered_out, u64(chunk) * (graph[op.out].width / op.slots));
  if (quantized) grow(gathered_quants, QuantizedBuffer::quants_of(chunk, weight.cols));
  if (!quantized) grow(gathered, u64(chunk) * graph::row_stride(weight.cols));
}

u64 ProductSizes::bytes(u32 quant_bytes, u64 element_bytes) const {
  return (gathered + gathered_out) * element_bytes + assigned * (sizeof(AssignedSlot) + sizeof(SlotGroup)) +
         QuantizedBuffer::bytes(quants, quant_bytes) + QuantizedBuffer::bytes(gathered_quants, quant_bytes);
}

template <class Real>
Products<Real>::Products(const ProductSizes& sizes, const Kernels& kernels, bool quantizes, u32 chunk)
    : kernels_(kernels),
      quantizes_(quantizes),
      chunk_(chunk),
      gathered_(to_size(sizes.gathered)),
      gathered_out_(to_size(sizes.gathered_out)),
      assigned_(to_size(sizes.assigned)),
      groups_(assigned_.size()),
      quantized_buffer_(sizes.quants, kernels.quant_bytes),
      gathered_buffer_(sizes.gathered_quants, kernels.quant_bytes) {}

template <class Real>
u64 Products<Real>::bytes() const {
  return (gathered_.size() + gathered_out_.size()) * sizeof(Real) + assigned_.size() * sizeof(AssignedSlot) +
         groups_.size() * sizeof(SlotGroup) + quantized_buffer_.bytes() + gathered_buffer_.bytes();
}

template <class Real>
void Products<Real>::multiply(const Matrix& matrix, RowRange range, Rows<const Real> x,
                              const QuantizedRows* quantized_x, const Real* bias, Rows<Real> out) {
  if constexpr (std::is_same_v<Real, double>) {
    matmul<Real>(matrix, x, bias, out, range.first, range.end);
  } else if (quantized_x) {
    CHECK(quantized_x->width == matrix.cols && out.width == matrix.rows && quantized_x->count == out.count);
    kernels_.quantized (*matrix.format)(matrix, range, *quantized_x, bias, out);
  } else {
    CHECK(x.width == matrix.cols && out.width == matrix.rows && x.count == out.count);
    kernels_.floats(matrix, range, x, bias, out);
  }
}

// Each row of x as `parts` rows.
template <class Real>
const QuantizedRows& Products<Real>::quantize(graph::ValueId id, Rows<const Real> x, u32 parts) {
  if (quantized_of_ == id && quantized_parts_ == parts) return quantized_;
  const u32 width = x.width / parts;
  quantized_ = quantized_buffer_.rows(x.count * parts, width);
  if constexpr (std::is_same_v<Real, float>) {
    if (parts == 1) kernels_.quantize(x, quantized_);
    for (u32 t = 0; parts > 1 && t < x.count; ++t) {
      kernels_.quantize({x[t], parts, width, width}, quantized_.some(t * parts, parts, kernels_.quant_bytes));
    }
  }
  quantized_of_ = id;
  quantized_parts_ = parts;
  return quantized_;
}

template <class Real>
u64 Products<Real>::step(const ProductCall<Real>& call, u64& part, u64 budget) {
  if (call.has_slots()) return multiply_slots(call, part, budget);
  const Rows<Real> x = call.x;
  const Matrix& weights = call.weights;
  const u64 row = std::max<u64>(u64(x.count) * x.width, 1);
  const u32 first = u32(part), step = kernels_.panel_rows;
  const u32 pieces = u32(std::min<u64>(budget / (row * step), weights.rows / step + 1));
  const u32 end = u32(std::min<u64>(first + u64(std::max(pieces, 1u)) * step, weights.rows));
  const QuantizedRows* quants = quantized(call) ? &quantize(call.op.x, x, 1) : nullptr;
  multiply(weights, {first, end}, x, quants, call.bias, call.out);
  part = end == weights.rows ? 0 : end;
  if (part == 0) clear_padding(call.out);
  return row * (end - first);
}

// One matrix after the other, each for all slots that it serves.
template <class Real>
u64 Products<Real>::multiply_slots(const ProductCall<Real>& call, u64& part, u64 budget) {
  if (part == 0) assign_slots(call);
  const u32 cols = call.weights.cols, matrix_rows = call.out.width / call.op.slots;
  const u64 all = u64(group_count_) * matrix_rows;
  u64 made = 0;
  while (part < all) {
    const SlotGroup& group = groups_[part / matrix_rows];
    const u32 first = u32(part % matrix_rows);
    const u64 row = u64(group.count) * cols, piece = row * kernels_.panel_rows;
    if (made > 0 && made + piece > budget) return made;
    const u64 pieces = std::max<u64>((budget - made) / piece, 1);
    const u32 end = u32(std::min<u64>(first + std::min<u64>(pieces, matrix_rows) * kernels_.panel_rows, matrix_rows));
    multiply_group(call, group, {first, end});
    made += row * (end - first);
    part += end - first;
    if (made >= budget && part < all) return made;
  }
  clear_padding(call.out);
  part = 0;
  return made;
}

// Groups of at most a chunk's rows.
template <class Real>
void Products<Real>::assign_slots(const ProductCall<Real>& call) {
  const u32 slots = call.op.slots, count = call.x.count * slots, matrix_rows = call.out.width / slots;
  for (u32 i = 0; i < count; ++i) {
    const u32 matrix = !call.chosen.data ? i % slots : u32(call.chosen[i / slots][i % slots]);
    CHECK(matrix < call.weights.rows / matrix_rows);
    assigned_[i] = {matrix, i};
  }
  std::sort(assigned_.begin(), assigned_.begin() + count);
  group_count_ = 0;
  for (u32 i = 0; i < count; ++i) {
    const bool more =
        i > 0 && assigned_[i].matrix == assigned_[i - 1].matrix && groups_[group_count_ - 1].count < chunk_;
    if (!more) groups_[group_count_++] = {assigned_[i].matrix, i, 0};
    ++groups_[group_count_ - 1].count;
  }
}

template <class Real>
void Products<Real>::multiply_group(const ProductCall<Real>& call, const SlotGroup& group, RowRange range) {
  const Rows<Real> out = call.out;
  const u32 matrix_rows = out.width / call.op.slots;
  const Matrix weights = call.weights.some_rows(group.matrix * matrix_rows, matrix_rows);
  const Real* bias = call.bias;
  if (bias) bias += u64(group.matrix) * matrix_rows;
  const auto place = [&](u32 i) {
    const u32 slot = assigned_[group.first + i].slot;
    return out[slot / call.op.slots] + u64(slot % call.op.slots) * matrix_rows;
  };
  Rows<Real> to{gathered_out_.data(), group.count, matrix_rows, matrix_rows};
  if (group.count == 1) to = {place(0), 1, matrix_rows, out.stride};
  const bool anew = range.first == 0;
  if (quantized(call)) {
    const QuantizedRows x = gather_quants(call, group, anew);
    multiply(weights, range, {}, &x, bias, to);
  } else {
    multiply(weights, range, gather(call, group, anew), nullptr, bias, to);
  }
  for (u32 i = 0; group.count > 1 && i < group.count; ++i) {
    std::copy(to[i] + range.first, to[i] + range.end, place(i) + range.first);
  }
}

// What a group's matrix multiplies; anew: or as it was gathered before.
template <class Real>
QuantizedRows Products<Real>::gather_quants(const ProductCall<Real>& call, const SlotGroup& group, bool anew) {
  const Rows<Real> x = call.x;
  const u32 parts = x.width / call.weights.cols;
  const QuantizedRows& all = quantize(call.op.x, x, parts);
  const auto source = [&](u32 i) {
    const u32 slot = assigned_[group.first + i].slot;
    return all.some(parts == 1 ? slot / call.op.slots : slot, 1, kernels_.quant_bytes);
  };
  if (group.count == 1) return source(0);
  const QuantizedRows result = gathered_buffer_.rows(group.count, all.width);
  for (u32 i = 0; anew && i < group.count; ++i) {
    const QuantizedRows from = source(i), to = result.some(i, 1, kernels_.quant_bytes);
    std::copy_n(from.quants, u64(from.stride) * kernels_.quant_bytes, to.quants);
    std::copy_n(from.scales, from.blocks(), to.scales);
    std::copy_n(from.sums, from.blocks(), to.sums);
    std::copy_n(from.half_sums, 2 * from.blocks(), to.half_sums);
  }
  return result;
}

template <class Real>
Rows<const Real> Products<Real>::gather(const ProductCall<Real>& call, const SlotGroup& group, bool anew) {
  const Rows<Real> x = call.x;
  const u32 cols = call.weights.cols, stride = graph::row_stride(cols);
  const auto source = [&](u32 i) -> const Real* {
    const u32 slot = assigned_[group.first + i].slot;
    return x[slot / call.op.slots] + (x.width == cols ? 0 : u64(slot % call.op.slots) * cols);
  };
  if (group.count == 1 && cols == stride) return {source(0), 1, cols, stride};
  for (u32 i = 0; anew && i < group.count; ++i) {
    Real* to = gathered_.data() + u64(i) * stride;
    std::fill(std::copy_n(source(i), cols, to), to + stride, Real(0));
  }
  return {gathered_.data(), group.count, cols, stride};
}

template class Products<float>;
template class Products<double>;

}  // namespace pronk::cpu
