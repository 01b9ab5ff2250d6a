#include "cpu/products.h"

#include <algorithm>

namespace pronk::cpu {
namespace {

// Multiply-adds that a thread takes at a time, some ten microseconds of a fast one: whoever is held up with them holds
// up little.
constexpr u64 part_products = 1 << 17;
// A product of fewer is one thread's: fetching the activations from its cache, and the results back, would take longer
// than the half of the work that another thread could do.
constexpr u64 least_shared = 1 << 18;
constexpr u32 part_elements = 1 << 13;  // the same of elements to be quantized

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
Products<Real>::Products(const ProductSizes& sizes, const Kernels& kernels, bool quantizes, u32 chunk, Pool& pool)
    : kernels_(kernels),
      quantizes_(quantizes),
      chunk_(chunk),
      pool_(pool),
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
    pool_.run_ranges(x.count, std::max(1u, part_elements / x.width), [&](u32 first, u32 end, u32) {
      for (u32 t = first; t < end; ++t) {
        kernels_.quantize({x[t], parts, width, width}, quantized_.some(t * parts, parts, kernels_.quant_bytes));
      }
    });
  }
  quantized_of_ = id;
  quantized_parts_ = parts;
  return quantized_;
}

// Rows of a matrix that are a part: whole panels, and as many parts for each thread. row: the multiply-adds of one;
// panel: its rows.
template <class Real>
u32 Products<Real>::part_rows(u32 rows, u64 row, u32 panel) const {
  const u64 all = rows * row, panels = ceil_div(rows, panel);
  const u64 parts = all < least_shared ? 1 : align_up(ceil_div(all, part_products), pool_.threads());
  return u32(ceil_div(panels, parts) * panel);
}

// Rows of the first `part` parts (multiply_part).
template <class Real>
static u64 rows_before(std::span<const ProductCall<Real>> calls, u32 step, u64 part) {
  u64 rows = 0;
  for (const ProductCall<Real>& call : calls) {
    const u64 parts = std::min<u64>(part, ceil_div(call.weights.rows, step));
    rows += std::min<u64>(parts * step, call.weights.rows);
    part -= parts;
  }
  return rows;
}

// Each call is cut into parts of `step` rows; they are numbered one call after the other.
template <class Real>
void Products<Real>::multiply_part(std::span<const ProductCall<Real>> calls, u32 step, u64 part) {
  std::size_t i = 0;
  for (; part >= ceil_div(calls[i].weights.rows, step); ++i) part -= ceil_div(calls[i].weights.rows, step);
  const ProductCall<Real>& call = calls[i];
  const u32 first = u32(part) * step;
  multiply(call.weights, {first, std::min(first + step, call.weights.rows)}, call.x,
           quantized(call) ? &quantized_ : nullptr, call.bias, call.out);
}

template <class Real>
u64 Products<Real>::step(std::span<const ProductCall<Real>> calls, u64& part, u64 budget) {
  if (calls[0].has_slots()) return multiply_slots(calls[0], part, budget);
  const Rows<Real>& x = calls[0].x;
  const u64 row = std::max<u64>(u64(x.count) * x.width, 1);
  u32 rows = 0, panel = 0;
  for (const ProductCall<Real>& call : calls) {
    rows += call.weights.rows;
    panel = std::max(panel, panel_rows(call));
    if (quantized(call)) quantize(call.op->x, x, 1);
  }
  const u32 step = part_rows(rows, row, panel);
  u64 all = 0;
  for (const ProductCall<Real>& call : calls) all += ceil_div(call.weights.rows, step);
  const u64 count = std::clamp<u64>(budget / (row * step), 1, all - part);
  pool_.run(u32(count), [&](u32 i, u32) { multiply_part(calls, step, part + i); });
  const u64 made = row * (rows_before(calls, step, part + count) - rows_before(calls, step, part));
  part = part + count == all ? 0 : part + count;
  if (part == 0) {
    for (const ProductCall<Real>& call : calls) clear_padding(call.out);
  }
  return made;
}

// One matrix after the other, each for all slots that it serves; those that serve only one at the same time.
template <class Real>
u64 Products<Real>::multiply_slots(const ProductCall<Real>& call, u64& part, u64 budget) {
  if (part == 0) assign_slots(call);
  if (quantized(call)) quantize(call.op->x, call.x, call.x.width / call.weights.cols);
  const u32 rows = call.out.width / call.op->slots, slots_of_group = call.x.count * call.op->slots / group_count_;
  const u32 step = part_rows(rows, u64(slots_of_group) * call.weights.cols, panel_rows(call));
  const u64 parts = ceil_div(rows, step), all = parts * group_count_;
  const auto rows_before = [&](u64 p) { return p / parts * rows + std::min<u64>(p % parts * step, rows); };
  u64 made = 0;
  while (part < all) {
    const u32 index = u32(part / parts);
    const SlotGroup& group = groups_[index];
    const u64 cost = u64(group.count) * call.weights.cols * step;
    if (made > 0 && made + cost > budget) return made;
    if (part % parts == 0 && gathers(call, group)) gather(call, group);
    const u64 left = end_of_batch(call, index) * parts - part;
    const u64 count = std::clamp<u64>((budget - std::min(made, budget)) / cost, 1, left);
    pool_.run(u32(count), [&](u32 i, u32) {
      const u32 first = u32((part + i) % parts) * step;
      multiply_group(call, groups_[(part + i) / parts], {first, std::min(first + step, rows)});
    });
    made += u64(group.count) * call.weights.cols * (rows_before(part + count) - rows_before(part));
    part += count;
  }
  clear_padding(call.out);
  part = 0;
  return made;
}

// Groups of at most a chunk's rows.
template <class Real>
void Products<Real>::assign_slots(const ProductCall<Real>& call) {
  const u32 slots = call.op->slots, count = call.x.count * slots, matrix_rows = call.out.width / slots;
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

// The groups before it and from `group` on can be multiplied at the same time: they are one, or gather nothing.
template <class Real>
u32 Products<Real>::end_of_batch(const ProductCall<Real>& call, u32 group) const {
  if (groups_[group].count > 1 || gathers(call, groups_[group])) return group + 1;
  u32 end = group + 1;
  while (end < group_count_ && groups_[end].count == 1) ++end;
  return end;
}

// Whether what the group multiplies has to be copied: its rows are not neighbours, or have no zeros after them.
template <class Real>
bool Products<Real>::gathers(const ProductCall<Real>& call, const SlotGroup& group) const {
  const u32 cols = call.weights.cols;
  return group.count > 1 || (!quantized(call) && graph::row_stride(cols) != cols);
}

template <class Real>
void Products<Real>::multiply_group(const ProductCall<Real>& call, const SlotGroup& group, RowRange range) {
  const u32 slots = call.op->slots, matrix_rows = call.out.width / slots;
  const Matrix weights = call.weights.some_rows(group.matrix * matrix_rows, matrix_rows);
  const Real* bias = call.bias ? call.bias + u64(group.matrix) * matrix_rows : nullptr;
  const auto place = [&](u32 i) {
    const u32 slot = assigned_[group.first + i].slot;
    return call.out[slot / slots] + u64(slot % slots) * matrix_rows;
  };
  Rows<Real> to{gathered_out_.data(), group.count, matrix_rows, matrix_rows};
  if (group.count == 1) to = {place(0), 1, matrix_rows, call.out.stride};
  if (quantized(call)) {
    const QuantizedRows x = quants_of(call, group);
    multiply(weights, range, {}, &x, bias, to);
  } else {
    multiply(weights, range, floats_of(call, group), nullptr, bias, to);
  }
  for (u32 i = 0; group.count > 1 && i < group.count; ++i) {
    std::copy(to[i] + range.first, to[i] + range.end, place(i) + range.first);
  }
}

// What a slot multiplies.
template <class Real>
QuantizedRows Products<Real>::quants_of_slot(const ProductCall<Real>& call, u32 slot) const {
  return quantized_.some(quantized_parts_ == 1 ? slot / call.op->slots : slot, 1, kernels_.quant_bytes);
}
template <class Real>
const Real* Products<Real>::floats_of_slot(const ProductCall<Real>& call, u32 slot) const {
  const u32 slots = call.op->slots, cols = call.weights.cols;
  return call.x[slot / slots] + (call.x.width == cols ? 0 : u64(slot % slots) * cols);
}

template <class Real>
void Products<Real>::gather(const ProductCall<Real>& call, const SlotGroup& group) {
  const u32 cols = call.weights.cols;
  for (u32 i = 0; i < group.count; ++i) {
    const u32 slot = assigned_[group.first + i].slot;
    if (!quantized(call)) {
      Real* to = gathered_.data() + u64(i) * graph::row_stride(cols);
      std::fill(std::copy_n(floats_of_slot(call, slot), cols, to), to + graph::row_stride(cols), Real(0));
      continue;
    }
    const QuantizedRows from = quants_of_slot(call, slot);
    const QuantizedRows to = gathered_buffer_.rows(group.count, cols).some(i, 1, kernels_.quant_bytes);
    std::copy_n(from.quants, u64(from.stride) * kernels_.quant_bytes, to.quants);
    std::copy_n(from.scales, from.blocks(), to.scales);
    std::copy_n(from.sums, from.blocks(), to.sums);
    std::copy_n(from.half_sums, 2 * from.blocks(), to.half_sums);
  }
}

// What a group multiplies: as it was gathered, or where it lies.
template <class Real>
QuantizedRows Products<Real>::quants_of(const ProductCall<Real>& call, const SlotGroup& group) {
  if (gathers(call, group)) return gathered_buffer_.rows(group.count, call.weights.cols);
  return quants_of_slot(call, assigned_[group.first].slot);
}
template <class Real>
Rows<const Real> Products<Real>::floats_of(const ProductCall<Real>& call, const SlotGroup& group) {
  const u32 cols = call.weights.cols, stride = graph::row_stride(cols);
  if (gathers(call, group)) return {gathered_.data(), group.count, cols, stride};
  return {floats_of_slot(call, assigned_[group.first].slot), 1, cols, stride};
}

template class Products<float>;
template class Products<double>;

}  // namespace pronk::cpu
