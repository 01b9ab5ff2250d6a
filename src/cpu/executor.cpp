#include "cpu/executor.h"

namespace pronk::cpu {
namespace {

using graph::Graph;
using graph::ValueId;
using graph::WeightId;

constexpr u64 arena_alignment = 64;  // bytes: a cache line

bool has_slots(const graph::MatMul& op) { return op.slots > 1 || op.chosen != ValueId::none; }

// Weights that operations read as numbers, not as matrices.
template <class Visit>
void each_vector(const Graph& graph, u32 context, const Visit& visit) {
  for (const auto& op : graph.ops) {
    const auto* embed = std::get_if<graph::Embed>(&op);
    const auto* matmul = std::get_if<graph::MatMul>(&op);
    const WeightId matrix = embed ? embed->table : matmul ? matmul->weight : WeightId::none;
    graph::for_each_weight(op, [&](WeightId id) {
      if (id != matrix) visit(id);
    });
  }
  for (const graph::RopeTable& table : graph.ropes) {
    if (table.factors_at(context) != WeightId::none) visit(table.factors_at(context));
  }
}

u64 numbers_of(const graph::Weight& weight) { return u64(weight.rows) * weight.cols; }

// Each value from the operation that makes it to the last that reads it, slices being their parents; the output lies
// elsewhere. The tail runs several times: what it reads of what came before must stay until its end.
void plan_arena(const Graph& graph, u32 chunk, u64 element_bytes, Workspace& workspace) {
  std::vector<graph::Interval> intervals(graph.values.size());
  workspace.in_tail.resize(graph.values.size());
  for (u32 i = 0; i < graph.ops.size(); ++i) {
    const bool in_tail = i >= workspace.tail;
    const auto made = [&](ValueId out) {
      const u64 row_bytes = graph::row_stride(graph[out].width) * element_bytes;
      const u64 rows = out == graph.output ? 0 : in_tail ? workspace.tail_rows : chunk;
      intervals[u32(out)] = {row_bytes * rows, i, i};
      workspace.in_tail[u32(out)] = in_tail;
    };
    const auto read = [&](ValueId in) {
      const u32 root = u32(graph::slice_of(graph.values, in).root);
      intervals[root].last = in_tail && !workspace.in_tail[root] ? u32(graph.ops.size() - 1) : i;
    };
    graph::for_each_operand(graph.ops[i], read, made);
  }
  workspace.arena = graph::plan_memory(intervals, {}, arena_alignment);
  CHECK(workspace.arena.buffer_bytes.size() == 1);
}

void grow(auto& size, u64 least) { size = std::max<u64>(size, least); }

void add_matmul(const Graph& graph, const graph::MatMul& op, u32 chunk, bool quantized, Workspace& workspace) {
  const graph::Weight& weight = graph[op.weight];
  if (quantized)
    grow(workspace.quants, QuantizedBuffer::quants_of(u64(chunk) * (graph[op.x].width / weight.cols), weight.cols));
  if (!has_slots(op)) return;
  grow(workspace.assigned, u64(chunk) * op.slots);
  grow(workspace.gathered_out, u64(chunk) * (graph[op.out].width / op.slots));
  if (quantized) grow(workspace.gathered_quants, QuantizedBuffer::quants_of(chunk, weight.cols));
  if (!quantized) grow(workspace.gathered, u64(chunk) * graph::row_stride(weight.cols));
}

bool quantizes_with(graph::Activations activations, u64 element_bytes) {
  return activations == graph::Activations::q8 && element_bytes == sizeof(float);
}

Workspace plan_workspace(const Graph& graph, u32 chunk, u32 logit_rows, graph::Activations activations,
                         const Kernels& kernels, u64 element_bytes) {
  Workspace workspace;
  workspace.tail = graph::tail_of(graph);
  workspace.tail_rows = std::clamp(logit_rows, 1u, chunk);
  plan_arena(graph, chunk, element_bytes, workspace);
  for (const auto& op : graph.ops) {
    if (const auto* matmul = std::get_if<graph::MatMul>(&op)) {
      const bool quantized =
          quantizes_with(activations, element_bytes) && kernels.quantized(*graph[matmul->weight].format);
      add_matmul(graph, *matmul, chunk, quantized, workspace);
    } else if (const auto* attention = std::get_if<graph::Attention>(&op)) {
      workspace.attention.cover(graph.kv(attention->state), attention->heads, chunk);
    } else if (const auto* route = std::get_if<graph::Route>(&op)) {
      workspace.experts = std::max(workspace.experts, graph[route->logits].width);
      workspace.expert_groups = std::max(workspace.expert_groups, route->groups);
    } else if (const auto* rule = std::get_if<graph::DeltaRule>(&op)) {
      grow(workspace.sums, graph[rule->v].width / rule->value_heads);
    }
  }
  return workspace;
}

}  // namespace

template <class Real>
Executor<Real>::Executor(const Graph& graph, std::vector<const u8*> weights, u32 context_length, graph::KvTypes kv,
                         u32 chunk, u32 logit_rows, graph::Activations activations, const Kernels& kernels)
    : graph_(graph),
      weights_(std::move(weights)),
      context_length_(context_length),
      chunk_(chunk),
      causal_(graph.causal()),
      recurrent_(graph.recurrent()),
      kernels_(kernels),
      quantizes_(quantizes_with(activations, sizeof(Real))),
      workspace_(plan_workspace(graph, chunk, logit_rows, activations, kernels, sizeof(Real))),
      carried_(graph.states.size()),
      attention_scratch_(workspace_.attention),
      route_scratch_(workspace_.experts, workspace_.expert_groups),
      arena_(to_size(workspace_.arena.buffer_bytes[0] / sizeof(Real))),
      logits_(to_size(u64(graph[graph.output].width) * logit_rows)),
      vectors_(graph.weights.size()),
      cosines_(graph.ropes.size()),
      gathered_(to_size(workspace_.gathered)),
      gathered_out_(to_size(workspace_.gathered_out)),
      sums_(to_size(workspace_.sums)),
      assigned_(to_size(workspace_.assigned)),
      groups_(assigned_.size()),
      quantized_buffer_(workspace_.quants, kernels.quant_bytes),
      gathered_buffer_(workspace_.gathered_quants, kernels.quant_bytes) {
  CHECK(weights_.size() == graph.weights.size() && chunk > 0 && workspace_.tail < graph.ops.size());
  bool makes_output = false;
  graph::for_each_operand(graph.ops.back(), [](ValueId) {}, [&](ValueId out) { makes_output = out == graph.output; });
  CHECK(makes_output);
  for (u32 i = 0; i < graph.values.size(); ++i) slices_.push_back(graph::slice_of(graph.values, ValueId(i)));
  for (std::size_t i = 0; i < graph.states.size(); ++i) {
    if (const auto* state = std::get_if<graph::KvState>(&graph.states[i])) {
      caches_.emplace_back(KvCache<Real>(*state, graph::kv_capacity(*state, context_length, chunk), kv));
    } else {
      caches_.emplace_back();
      carried_[i].resize(std::get<graph::RecurrentState>(graph.states[i]).floats);
    }
  }
  kept_ = carried_;
  for (std::size_t i = 0; i < cosines_.size(); ++i) {
    cosines_[i].resize(to_size(u64(chunk) * graph.ropes[i].frequency.size()));
  }
  sines_ = cosines_;
  each_vector(graph, context_length, [&](WeightId id) {
    const graph::Weight& weight = graph[id];
    CHECK(numbers_of(weight) < 1ull << 32);
    vectors_[u32(id)].resize(to_size(numbers_of(weight)));
    decode_row(Matrix{weight.format, weights_[u32(id)], 1, u32(numbers_of(weight))}, 0, vectors_[u32(id)].data());
  });
}

template <class Real>
Footprint Executor<Real>::footprint(const Graph& graph, u32 context_length, graph::KvTypes kv, u32 chunk,
                                    u32 logit_rows, graph::Activations activations, const Kernels& kernels) {
  Footprint result;
  for (const graph::State& state : graph.states) {
    if (const auto* s = std::get_if<graph::KvState>(&state)) {
      result.kv_cache += KvCache<Real>::bytes(*s, graph::kv_capacity(*s, context_length, chunk), kv);
    } else {
      result.kv_cache += 2 * u64(std::get<graph::RecurrentState>(state).floats) * sizeof(Real);
    }
  }
  const Workspace w = plan_workspace(graph, chunk, logit_rows, activations, kernels, sizeof(Real));
  const u64 reals = u64(graph[graph.output].width) * logit_rows + w.gathered + w.gathered_out + w.sums;
  result.activations = w.arena.buffer_bytes[0] + reals * sizeof(Real) + w.attention.bytes<Real>() +
                       RouteScratch<Real>::bytes(w.experts, w.expert_groups) +
                       w.assigned * (sizeof(Assigned) + sizeof(SlotGroup)) +
                       QuantizedBuffer::bytes(w.quants, kernels.quant_bytes) +
                       QuantizedBuffer::bytes(w.gathered_quants, kernels.quant_bytes);
  std::vector<bool> counted(graph.weights.size());
  each_vector(graph, context_length, [&](WeightId id) {
    if (!counted[u32(id)]) result.parameters += numbers_of(graph[id]) * sizeof(Real);
    counted[u32(id)] = true;
  });
  for (const graph::RopeTable& table : graph.ropes) {
    result.parameters += 2 * u64(chunk) * table.frequency.size() * sizeof(Real);
  }
  return result;
}

template <class Real>
Footprint Executor<Real>::allocated() const {
  const auto all = [](const auto& vectors) {
    u64 sum = 0;
    for (const auto& v : vectors) sum += v.size() * sizeof(Real);
    return sum;
  };
  Footprint result;
  for (const auto& cache : caches_) result.kv_cache += cache ? cache->bytes() : 0;
  result.kv_cache += all(carried_) + all(kept_);
  const u64 reals = arena_.size() + logits_.size() + gathered_.size() + gathered_out_.size() + sums_.size();
  result.activations = reals * sizeof(Real) + attention_scratch_.bytes() + route_scratch_.bytes() +
                       assigned_.size() * sizeof(Assigned) + groups_.size() * sizeof(SlotGroup) +
                       quantized_buffer_.bytes() + gathered_buffer_.bytes();
  result.parameters = all(vectors_) + all(cosines_) + all(sines_);
  return result;
}

// ---- States

template <class Real>
u32 Executor<Real>::resumable(u32 position) const {
  const auto windows_hold = [&](u32 at) {
    for (const auto& cache : caches_) {
      const u32 window = cache ? cache->state().window : 0;
      if (window > 0 && cache->oldest() + window > std::max(at + 1, window)) return false;
    }
    return true;
  };
  u32 best = 0;
  for (const u32 at : {recurrent_ ? stands_at_ : position, recurrent_ ? kept_at_ : position}) {
    if (at <= position && at > best && windows_hold(at)) best = at;
  }
  return best;
}

template <class Real>
void Executor<Real>::checkpoint() {
  if (!recurrent_) return;
  CHECK(stands_at_ != nowhere);
  if (kept_at_ == stands_at_) return;
  kept_ = carried_;
  kept_at_ = stands_at_;
}

template <class Real>
void Executor<Real>::begin_states(u32 position) {
  CHECK(resumable(position) == position);
  if (position == 0) {
    for (auto& cache : caches_) {
      if (cache) cache->forget();
    }
    for (auto& state : carried_) std::fill(state.begin(), state.end(), Real(0));
  } else if (recurrent_ && stands_at_ != position) {
    carried_ = kept_;
  }
  stands_at_ = position;
  if (kept_at_ > position) kept_at_ = nowhere;  // what was kept is of another text
}

// ---- Runs

template <class Real>
void Executor<Real>::begin(std::span<const u32> tokens, u32 position, Logits wanted) {
  CHECK(!tokens.empty() && position <= context_length_ && tokens.size() <= context_length_ - position);
  CHECK(causal_ || tokens.size() <= chunk_);
  begin_states(position);
  run_tokens_ = tokens;
  run_position_ = position;
  wanted_ = wanted;
  next_chunk_ = 0;
  const u64 logits = logits_of(tokens.size()) * graph_[graph_.output].width;
  if (logits_.size() < logits) logits_.resize(to_size(logits));
  begin_chunk();
}

template <class Real>
u64 Executor<Real>::logits_of(u64 tokens) const {
  return wanted_ == Logits::all ? tokens : wanted_ == Logits::last ? 1 : 0;
}

template <class Real>
void Executor<Real>::begin_chunk() {
  const u64 first = next_chunk_;
  tokens_ = run_tokens_.subspan(first, std::min<u64>(chunk_, run_tokens_.size() - first));
  position_ = u32(run_position_ + first);
  next_chunk_ = first + tokens_.size();
  const u32 count = u32(tokens_.size());
  const bool all = wanted_ == Logits::all, last = next_chunk_ == run_tokens_.size();
  tail_next_ = count - (all || last ? u32(logits_of(count)) : 0);
  first_logit_ = all ? u32(first) : 1 - count;
  pass_ = {0, count};
  op_ = part_ = 0;
  end_op_ = workspace_.tail;
  quantized_of_ = ValueId::none;
  find_angles();
}

// The tail for the next tokens whose logits are wanted, or the next chunk; false when there is none.
template <class Real>
bool Executor<Real>::begin_next() {
  if (finished()) return false;
  if (tail_next_ == tokens_.size()) {
    begin_chunk();
    return true;
  }
  pass_ = {tail_next_, std::min(workspace_.tail_rows, u32(tokens_.size()) - tail_next_)};
  tail_next_ += pass_.count;
  op_ = workspace_.tail;
  end_op_ = graph_.ops.size();
  quantized_of_ = ValueId::none;  // other rows than before
  return true;
}

template <class Real>
bool Executor<Real>::finished() const {
  return op_ == end_op_ && tail_next_ == tokens_.size() && next_chunk_ == run_tokens_.size();
}

template <class Real>
bool Executor<Real>::advance(u64 multiply_adds) {
  for (u64 done = 0; done < multiply_adds;) {
    if (op_ == end_op_) {
      if (!begin_next()) return true;
      continue;
    }
    const graph::PlainOp& next = graph_.ops[op_];
    if (graph::writes_state(next)) stands_at_ = nowhere;
    const u64 made = std::visit([&](const auto& op) { return step(op, multiply_adds - done); }, next);
    done += made;
    work_.multiply_adds += made;
    if (part_ != 0) continue;
    ++op_;
    if (op_ == workspace_.tail) stands_at_ = u32(position_ + tokens_.size());
    if (op_ == graph_.ops.size()) work_.logit_rows += pass_.count;
  }
  return finished();
}

template <class Real>
std::span<const Real> Executor<Real>::logits() const {
  return std::span(logits_).first(to_size(logits_of(run_tokens_.size()) * graph_[graph_.output].width));
}

template <class Real>
std::span<const Real> Executor<Real>::run(std::span<const u32> tokens, u32 position, bool all_logits) {
  begin(tokens, position, all_logits ? Logits::all : Logits::last);
  while (!advance(~u64{0})) {
  }
  return logits();
}

// The angles of this chunk's positions, in double whatever Real is.
template <class Real>
void Executor<Real>::find_angles() {
  for (std::size_t i = 0; i < graph_.ropes.size(); ++i) {
    const graph::RopeTable& table = graph_.ropes[i];
    const Real* factors = vector(table.factors_at(context_length_));
    const u64 pairs = table.frequency.size();
    for (u64 t = 0; t < tokens_.size(); ++t) {
      for (u64 pair = 0; pair < pairs; ++pair) {
        const double angle = double(position_ + t) * table.frequency[pair] / (factors ? double(factors[pair]) : 1.0);
        cosines_[i][t * pairs + pair] = Real(std::cos(angle) * table.magnitude);
        sines_[i][t * pairs + pair] = Real(std::sin(angle) * table.magnitude);
      }
    }
  }
}

// ---- Operands

template <class Real>
Rows<Real> Executor<Real>::rows(ValueId id) {
  const u32 width = graph_[id].width;
  if (id == graph_.output) {
    return {logits_.data() + u64(first_logit_ + pass_.first) * width, pass_.count, width, width};
  }
  const graph::Slice slice = slices_[u32(id)];
  const u32 stride = graph::row_stride(graph_[slice.root].width);
  const u64 first = workspace_.in_tail[u32(slice.root)] ? 0 : pass_.first;
  const u64 place = workspace_.arena.ranges[u32(slice.root)].offset / sizeof(Real);
  return {arena_.data() + place + first * stride + slice.column, pass_.count, width, stride};
}

template <class Real>
Matrix Executor<Real>::matrix(WeightId id) const {
  const graph::Weight& weight = graph_[id];
  return {weight.format, weights_[u32(id)], weight.rows, weight.cols};
}

template <class Real>
std::span<const Real> Executor<Real>::numbers(WeightId id) const {
  return id == WeightId::none ? std::span<const Real>() : std::span<const Real>(vectors_[u32(id)]);
}

// Whatever lay there before, the columns that a matmul reads beyond the width are zero.
template <class Real>
void Executor<Real>::clear_padding(Rows<Real> out) {
  for (u32 t = 0; t < out.count; ++t) std::fill(out[t] + out.width, out[t] + out.stride, Real(0));
}

template <class Real>
u64 Executor<Real>::made(Rows<Real> out) {
  clear_padding(out);
  return out.elements();
}

// ---- Products

template <class Real>
bool Executor<Real>::quantized(const graph::MatMul& op) const {
  return quantizes_ && kernels_.quantized(*graph_[op.weight].format);
}

template <class Real>
void Executor<Real>::multiply(const Matrix& matrix, RowRange range, Rows<const Real> x,
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
const QuantizedRows& Executor<Real>::quantize(ValueId id, Rows<const Real> x, u32 parts) {
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
u64 Executor<Real>::step(const graph::MatMul& op, u64 budget) {
  if (has_slots(op)) return multiply_slots(op, budget);
  const Rows<Real> x = rows(op.x), out = rows(op.out);
  const Matrix weights = matrix(op.weight);
  const u64 row = std::max<u64>(u64(x.count) * x.width, 1);
  const u32 first = u32(part_), step = kernels_.panel_rows;
  const u32 pieces = u32(std::min<u64>(budget / (row * step), weights.rows / step + 1));
  const u32 end = u32(std::min<u64>(first + u64(std::max(pieces, 1u)) * step, weights.rows));
  const QuantizedRows* quants = quantized(op) ? &quantize(op.x, x, 1) : nullptr;
  multiply(weights, {first, end}, x, quants, vector(op.bias), out);
  part_ = end == weights.rows ? 0 : end;
  if (part_ == 0) clear_padding(out);
  return row * (end - first);
}

// One matrix after the other, each for all slots that it serves.
template <class Real>
u64 Executor<Real>::multiply_slots(const graph::MatMul& op, u64 budget) {
  if (part_ == 0) assign_slots(op);
  const u32 cols = graph_[op.weight].cols, matrix_rows = graph_[op.out].width / op.slots;
  const u64 all = u64(group_count_) * matrix_rows;
  u64 made = 0;
  while (part_ < all) {
    const SlotGroup& group = groups_[part_ / matrix_rows];
    const u32 first = u32(part_ % matrix_rows);
    const u64 row = u64(group.count) * cols, piece = row * kernels_.panel_rows;
    if (made > 0 && made + piece > budget) return made;
    const u64 pieces = std::max<u64>((budget - made) / piece, 1);
    const u32 end = u32(std::min<u64>(first + std::min<u64>(pieces, matrix_rows) * kernels_.panel_rows, matrix_rows));
    multiply_group(op, group, {first, end});
    made += row * (end - first);
    part_ += end - first;
    if (made >= budget && part_ < all) return made;
  }
  clear_padding(rows(op.out));
  part_ = 0;
  return made;
}

// Groups of at most a chunk's rows.
template <class Real>
void Executor<Real>::assign_slots(const graph::MatMul& op) {
  const u32 slots = op.slots, count = pass_.count * slots, matrix_rows = graph_[op.out].width / slots;
  for (u32 i = 0; i < count; ++i) {
    const u32 matrix = op.chosen == ValueId::none ? i % slots : u32(rows(op.chosen)[i / slots][i % slots]);
    CHECK(matrix < graph_[op.weight].rows / matrix_rows);
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
void Executor<Real>::multiply_group(const graph::MatMul& op, const SlotGroup& group, RowRange range) {
  const Rows<Real> out = rows(op.out);
  const u32 matrix_rows = out.width / op.slots;
  const Matrix weights = matrix(op.weight).some_rows(group.matrix * matrix_rows, matrix_rows);
  const Real* bias = vector(op.bias);
  if (bias) bias += u64(group.matrix) * matrix_rows;
  const auto place = [&](u32 i) {
    const u32 slot = assigned_[group.first + i].slot;
    return out[slot / op.slots] + u64(slot % op.slots) * matrix_rows;
  };
  Rows<Real> to{gathered_out_.data(), group.count, matrix_rows, matrix_rows};
  if (group.count == 1) to = {place(0), 1, matrix_rows, out.stride};
  const bool anew = range.first == 0;
  if (quantized(op)) {
    const QuantizedRows x = gather_quants(op, group, anew);
    multiply(weights, range, {}, &x, bias, to);
  } else {
    multiply(weights, range, gather(op, group, anew), nullptr, bias, to);
  }
  for (u32 i = 0; group.count > 1 && i < group.count; ++i) {
    std::copy(to[i] + range.first, to[i] + range.end, place(i) + range.first);
  }
}

// What a group's matrix multiplies; anew: or as it was gathered before.
template <class Real>
QuantizedRows Executor<Real>::gather_quants(const graph::MatMul& op, const SlotGroup& group, bool anew) {
  const Rows<Real> x = rows(op.x);
  const u32 parts = x.width / graph_[op.weight].cols;
  const QuantizedRows& all = quantize(op.x, x, parts);
  const auto source = [&](u32 i) {
    const u32 slot = assigned_[group.first + i].slot;
    return all.some(parts == 1 ? slot / op.slots : slot, 1, kernels_.quant_bytes);
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
Rows<const Real> Executor<Real>::gather(const graph::MatMul& op, const SlotGroup& group, bool anew) {
  const Rows<Real> x = rows(op.x);
  const u32 cols = graph_[op.weight].cols, stride = graph::row_stride(cols);
  const auto source = [&](u32 i) -> const Real* {
    const u32 slot = assigned_[group.first + i].slot;
    return x[slot / op.slots] + (x.width == cols ? 0 : u64(slot % op.slots) * cols);
  };
  if (group.count == 1 && cols == stride) return {source(0), 1, cols, stride};
  for (u32 i = 0; anew && i < group.count; ++i) {
    Real* to = gathered_.data() + u64(i) * stride;
    std::fill(std::copy_n(source(i), cols, to), to + stride, Real(0));
  }
  return {gathered_.data(), group.count, cols, stride};
}

// ---- The other operations

template <class Real>
u64 Executor<Real>::step(const graph::Embed& op, u64) {
  const Matrix table = matrix(op.table);
  const Rows<Real> out = rows(op.out);
  for (u32 t = 0; t < out.count; ++t) {
    const u32 row = op.by_position ? position() + t : tokens_[pass_.first + t];
    CHECK(row < table.rows);
    decode_row(table, row, out[t]);
  }
  return made(out);
}

template <class Real>
u64 Executor<Real>::step(const graph::Norm& op, u64) {
  norm<Real>(op, rows(op.x), numbers(op.weight), numbers(op.bias), rows(op.out));
  return made(rows(op.out));
}

template <class Real>
u64 Executor<Real>::step(const graph::Rope& op, u64) {
  const graph::RopeTable& table = graph_[op.table];
  const u64 first = u64(pass_.first) * table.frequency.size();
  const Angles<Real> angles{cosines_[u32(op.table)].data() + first, sines_[u32(op.table)].data() + first};
  rope<Real>(rows(op.x), table, op.head, op.first, angles, rows(op.out));
  return made(rows(op.out));
}

template <class Real>
u64 Executor<Real>::step(const graph::StoreKv& op, u64) {
  const Rows<Real> k = rows(op.k), v = op.v == ValueId::none ? Rows<Real>{} : rows(op.v);
  caches_[u32(op.state)]->store(position(), k, v);
  return k.elements() + v.elements();
}

template <class Real>
u64 Executor<Real>::step(const graph::Attention& op, u64 budget) {
  const Rows<Real> q = rows(op.q), out = rows(op.out);
  const AttentionCall<Real> call{.op = op,
                                 .cache = *caches_[u32(op.state)],
                                 .sinks = vector(op.sinks),
                                 .q = q,
                                 .position = position(),
                                 .run = {run_position_, u32(run_position_ + run_tokens_.size())},
                                 .out = out,
                                 .kernels = &kernels_};
  const u64 blocks = call.blocks().count(), heads = graph_.kv(op.state).heads;
  const u64 cost = u64(kv_rows) * (q.elements() + out.elements()) / heads;  // of a block: scores, and sums of values
  u64 made = 0;
  for (; part_ < blocks && (made == 0 || made + cost <= budget); made += cost) {
    attend<Real>(call, part_++, attention_scratch_);
  }
  if (part_ < blocks) return made;
  clear_padding(out);
  part_ = 0;
  return made;
}

template <class Real>
u64 Executor<Real>::step(const graph::Map& op, u64) {
  const Rows<Real> a = rows(op.a), out = rows(op.out);
  Rows<const Real> b;
  if (op.b != ValueId::none) b = rows(op.b);
  if (op.weight != WeightId::none) b = {vector(op.weight), a.count, u32(numbers(op.weight).size()), 0};
  if constexpr (std::is_same_v<Real, float>) {
    const bool silu = op.function == graph::Function::silu_gate;
    const bool gelu = op.function == graph::Function::gelu_tanh_gate;
    const bool whole_vectors = op.b != ValueId::none && b.width == a.width && op.out != graph_.output;
    if (whole_vectors && (silu || gelu)) {
      kernels_.gate(a, b, silu ? 1 : 1.5957691216f, silu ? 0 : 0.044715f, out);  // 2 √(2/π)
      return made(out);
    }
  }
  map<Real>(op, a, b, out);
  return made(out);
}

template <class Real>
u64 Executor<Real>::step(const graph::PositionScale& op, u64) {
  position_scale<Real>(op, rows(op.x), position(), rows(op.out));
  return made(rows(op.out));
}

template <class Real>
u64 Executor<Real>::step(const graph::TakeColumns& op, u64) {
  take_columns<Real>(op, rows(op.x), rows(op.out));
  return made(rows(op.out));
}

template <class Real>
u64 Executor<Real>::step(const graph::JoinColumns& op, u64) {
  join_columns<Real>(op, rows(op.a), rows(op.b), rows(op.out));
  return made(rows(op.out));
}

template <class Real>
u64 Executor<Real>::step(const graph::Route& op, u64) {
  route<Real>(op, rows(op.logits), vector(op.bias), vector(op.expert_scale), route_scratch_, rows(op.chosen),
              rows(op.weights));
  return rows(op.logits).elements() + made(rows(op.chosen)) + made(rows(op.weights));
}

template <class Real>
u64 Executor<Real>::step(const graph::WeightedSum& op, u64) {
  weighted_sum<Real>(rows(op.x), rows(op.weights), rows(op.out));
  clear_padding(rows(op.out));
  return rows(op.x).elements();
}

template <class Real>
u64 Executor<Real>::step(const graph::KeepLargest& op, u64) {
  keep_largest<Real>(op, rows(op.x), rows(op.out));
  return made(rows(op.out));
}

template <class Real>
u64 Executor<Real>::step(const graph::Conv1d& op, u64) {
  conv1d<Real>(rows(op.x), numbers(op.weight), vector(op.bias), carried_[u32(op.state)].data(), rows(op.out));
  return made(rows(op.out)) * graph_[op.weight].cols;
}

template <class Real>
template <class WorkOf>
u64 Executor<Real>::by_heads(u32 heads, u64 cost, u64 budget, const WorkOf& work) {
  u64 made = 0;
  for (; part_ < heads && (made == 0 || made + cost <= budget); made += cost) work(u32(part_++));
  if (part_ == heads) part_ = 0;
  return made;
}

template <class Real>
u64 Executor<Real>::step(const graph::DeltaRule& op, u64 budget) {
  const Rows<Real> q = rows(op.q), k = rows(op.k), v = rows(op.v), out = rows(op.out);
  const Rows<Real> decay = rows(op.decay), beta = rows(op.beta);
  const u32 keys = k.width / op.key_heads, values = v.width / op.value_heads;
  const u64 matrix = u64(keys) * values;
  Real* state = carried_[u32(op.state)].data();
  const u64 made = by_heads(op.value_heads, 4 * matrix * v.count, budget, [&](u32 head) {
    const u32 key_head = op.neighbours_share ? head / (op.value_heads / op.key_heads) : head % op.key_heads;
    delta_rule_head<Real>(q.columns(key_head * keys, keys), k.columns(key_head * keys, keys),
                          v.columns(head * values, values), decay.columns(head, 1), beta.columns(head, 1),
                          state + head * matrix, sums_.data(), out.columns(head * values, values));
  });
  if (part_ == 0) clear_padding(out);
  return made;
}

template <class Real>
u64 Executor<Real>::step(const graph::Scan& op, u64 budget) {
  const Rows<Real> x = rows(op.x), dt = rows(op.dt), b = rows(op.b), c = rows(op.c), out = rows(op.out);
  const u32 width = x.width / op.heads, size = b.width / op.groups;
  const std::span<const Real> a = numbers(op.a);
  CHECK(a.size() == op.heads || a.size() == u64(op.heads) * size);
  const u32 decays = u32(a.size() / op.heads);  // of a head
  Real* state = carried_[u32(op.state)].data();
  const u64 made = by_heads(op.heads, 3 * u64(width) * size * x.count, budget, [&](u32 head) {
    const u32 first = head / (op.heads / op.groups) * size;
    scan_head<Real>(x.columns(head * width, width), dt.columns(head, 1), b.columns(first, size), c.columns(first, size),
                    a.subspan(u64(head) * decays, decays), state + u64(head) * width * size,
                    out.columns(head * width, width));
  });
  if (part_ == 0) clear_padding(out);
  return made;
}

template class Executor<float>;
template class Executor<double>;

}  // namespace pronk::cpu
