#include "cpu/executor.h"

#include "graph/memory_plan.h"

namespace pronk::cpu {
namespace {

using graph::Graph;
using graph::ValueId;
using graph::WeightId;

constexpr u64 arena_alignment = 64;  // bytes: a cache line

template <class Visit>
void each_vector(const Graph& graph, const Visit& visit) {
  for (const auto& op : graph.ops) {
    if (const auto* norm = std::get_if<graph::RmsNorm>(&op)) visit(norm->weight);
    if (const auto* matmul = std::get_if<graph::MatMul>(&op); matmul && matmul->bias != WeightId::none) {
      visit(matmul->bias);
    }
  }
  if (graph.rotation.factors != WeightId::none) visit(graph.rotation.factors);
}

// Each value from the operation that makes it to the last that reads it; the logits lie elsewhere.
graph::MemoryPlan plan_arena(const Graph& graph, u32 chunk, u64 element_bytes) {
  std::vector<graph::Interval> intervals(graph.values.size());
  for (u32 i = 0; i < graph.ops.size(); ++i) {
    const auto made = [&](ValueId out) {
      const u64 row_bytes = graph::row_stride(graph[out].width) * element_bytes;
      intervals[u32(out)] = {out == graph.logits ? 0 : row_bytes * chunk, i, i};
    };
    const auto read = [&](ValueId in) { intervals[u32(in)].last = i; };
    graph::for_each_operand(graph.ops[i], read, made);
  }
  graph::MemoryPlan plan = graph::plan_memory(intervals, {}, arena_alignment);
  CHECK(plan.buffer_bytes.size() == 1);
  return plan;
}

// Columns of the widest matrix that is multiplied by quantized activations; 0: there is none.
template <class Real>
u32 widest_quantized(const Graph& graph, graph::Activations activations, const Kernels& kernels) {
  u32 widest = 0;
  if (std::is_same_v<Real, double> || activations == graph::Activations::f32) return widest;
  for (const auto& op : graph.ops) {
    const auto* matmul = std::get_if<graph::MatMul>(&op);
    if (!matmul || !kernels.quantized(*graph[matmul->weight].format)) continue;
    widest = std::max(widest, graph[matmul->weight].cols);
  }
  return widest;
}

}  // namespace

template <class Real>
Executor<Real>::Executor(const Graph& graph, std::vector<const u8*> weights, u32 context_length, graph::KvTypes kv,
                         u32 chunk, u32 logit_rows, graph::Activations activations, const Kernels& kernels)
    : graph_(graph),
      weights_(std::move(weights)),
      context_length_(context_length),
      chunk_(chunk),
      cache_(graph.heads, graph.layers, context_length, kv),
      scratch_(graph.heads, chunk),
      logits_(to_size(u64(graph[graph.logits].width) * logit_rows)),
      vectors_(graph.weights.size()),
      cosines_(u64(chunk) * (graph.heads.rotated / 2)),
      sines_(cosines_.size()),
      kernels_(kernels),
      quantizes_(widest_quantized<Real>(graph, activations, kernels) > 0),
      quantized_buffer_(chunk, widest_quantized<Real>(graph, activations, kernels), kernels.quant_bytes) {
  CHECK(weights_.size() == graph.weights.size() && chunk > 0);
  CHECK(graph.rotation.frequency.size() == graph.heads.rotated / 2);
  CHECK(!graph.ops.empty() && std::holds_alternative<graph::MatMul>(graph.ops.back()));
  CHECK(std::get<graph::MatMul>(graph.ops.back()).out == graph.logits);
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    if (std::holds_alternative<graph::StoreKv>(graph.ops[i])) last_store_ = i;
  }
  const graph::MemoryPlan plan = plan_arena(graph, chunk, sizeof(Real));
  arena_.resize(plan.buffer_bytes[0] / sizeof(Real));
  for (const graph::Range& range : plan.ranges) places_.push_back(range.offset / sizeof(Real));
  each_vector(graph, [&](WeightId id) {
    vectors_[u32(id)].resize(graph[id].cols);
    decode_row(matrix(id), 0, vectors_[u32(id)].data());
  });
}

template <class Real>
Footprint Executor<Real>::footprint(const Graph& graph, u32 context_length, graph::KvTypes kv, u32 chunk,
                                    u32 logit_rows, graph::Activations activations, const Kernels& kernels) {
  Footprint result;
  result.kv_cache = KvCache<Real>::bytes(graph.heads, graph.layers, context_length, kv);
  result.activations = plan_arena(graph, chunk, sizeof(Real)).buffer_bytes[0];
  result.activations += u64(graph[graph.logits].width) * logit_rows * sizeof(Real);
  result.activations += AttentionScratch<Real>::bytes(graph.heads, chunk);
  result.activations +=
      QuantizedBuffer::bytes(chunk, widest_quantized<Real>(graph, activations, kernels), kernels.quant_bytes);
  std::vector<bool> counted(graph.weights.size());
  each_vector(graph, [&](WeightId id) {
    if (!counted[u32(id)]) result.parameters += u64(graph[id].cols) * sizeof(Real);
    counted[u32(id)] = true;
  });
  result.parameters += 2 * u64(chunk) * (graph.heads.rotated / 2) * sizeof(Real);
  return result;
}

template <class Real>
Footprint Executor<Real>::allocated() const {
  Footprint result;
  result.kv_cache = cache_.bytes();
  result.activations = (arena_.size() + logits_.size()) * sizeof(Real) + scratch_.bytes() + quantized_buffer_.bytes();
  for (const auto& decoded : vectors_) result.parameters += decoded.size() * sizeof(Real);
  result.parameters += (cosines_.size() + sines_.size()) * sizeof(Real);
  return result;
}

template <class Real>
void Executor<Real>::begin(std::span<const u32> tokens, u32 position, Logits wanted) {
  CHECK(!tokens.empty() && position <= context_length_ && tokens.size() <= context_length_ - position);
  run_tokens_ = tokens;
  run_position_ = position;
  wanted_ = wanted;
  next_chunk_ = 0;
  const u64 logits = logits_of(tokens.size()) * graph_[graph_.logits].width;
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
  const u32 vocabulary = graph_[graph_.logits].width;
  const bool all = wanted_ == Logits::all, last = next_chunk_ == run_tokens_.size();
  const u32 rows = all || last ? u32(logits_of(tokens_.size())) : 0;
  logits_out_ = {logits_.data() + (all ? first * vocabulary : 0), rows, vocabulary, vocabulary};
  op_ = part_ = 0;
  quantized_of_ = ValueId::none;
  end_op_ = rows > 0 ? graph_.ops.size() : last_store_ + 1;
  find_angles();
}

template <class Real>
bool Executor<Real>::advance(u64 multiply_adds) {
  for (u64 done = 0; done < multiply_adds;) {
    if (op_ == end_op_ && next_chunk_ == run_tokens_.size()) return true;
    if (op_ == end_op_) begin_chunk();
    if (!std::holds_alternative<graph::MatMul>(graph_.ops[op_])) quantized_of_ = ValueId::none;
    const u64 made = std::visit([&](const auto& op) { return step(op, multiply_adds - done); }, graph_.ops[op_]);
    if (part_ == 0) ++op_;
    done += made;
    work_.multiply_adds += made;
  }
  return op_ == end_op_ && next_chunk_ == run_tokens_.size();
}

template <class Real>
std::span<const Real> Executor<Real>::logits() const {
  return std::span(logits_).first(to_size(logits_of(run_tokens_.size()) * graph_[graph_.logits].width));
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
  const graph::Rotation& rotation = graph_.rotation;
  const Real* factors = vector(rotation.factors);
  const u64 pairs = rotation.frequency.size();
  for (u64 t = 0; t < tokens_.size(); ++t) {
    for (u64 i = 0; i < pairs; ++i) {
      const double angle = double(position_ + t) * rotation.frequency[i] / (factors ? double(factors[i]) : 1.0);
      cosines_[t * pairs + i] = Real(std::cos(angle) * rotation.magnitude);
      sines_[t * pairs + i] = Real(std::sin(angle) * rotation.magnitude);
    }
  }
}

template <class Real>
Rows<Real> Executor<Real>::rows(ValueId id) {
  const u32 width = graph_[id].width;
  return {arena_.data() + places_[u32(id)], u32(tokens_.size()), width, graph::row_stride(width)};
}

template <class Real>
Matrix Executor<Real>::matrix(WeightId id) const {
  const graph::Weight& weight = graph_[id];
  return {weight.format, weights_[u32(id)], weight.rows, weight.cols};
}

template <class Real>
const Real* Executor<Real>::vector(WeightId id) const {
  return id == WeightId::none ? nullptr : vectors_[u32(id)].data();
}

// Whatever lay there before, the columns that a matmul reads beyond the width are zero.
template <class Real>
void Executor<Real>::clear_padding(Rows<Real> out) {
  for (u32 t = 0; t < out.count; ++t) std::fill(out[t] + out.width, out[t] + out.stride, Real(0));
}

template <class Real>
u64 Executor<Real>::step(const graph::Embed& op, u64) {
  const Matrix table = matrix(op.table);
  const Rows<Real> out = rows(op.out);
  for (u32 t = 0; t < out.count; ++t) {
    CHECK(tokens_[t] < table.rows);
    decode_row(table, tokens_[t], out[t]);
  }
  clear_padding(out);
  return out.elements();
}

template <class Real>
u64 Executor<Real>::step(const graph::RmsNorm& op, u64) {
  rms_norm<Real>(rows(op.x), vector(op.weight), graph_[op.weight].cols, op.eps, rows(op.out));
  clear_padding(rows(op.out));
  return rows(op.out).elements();
}

template <class Real>
u64 Executor<Real>::step(const graph::MatMul& op, u64 budget) {
  Rows<Real> x = rows(op.x), out = rows(op.out);
  const bool logits = op.out == graph_.logits;
  if (logits) {
    out = logits_out_;
    x.data = x[x.count - out.count];
    x.count = out.count;
    if (part_ == 0) quantized_of_ = ValueId::none;  // other rows than the rest of the graph has
  }
  const Matrix weights = matrix(op.weight);
  const u64 row = std::max<u64>(u64(x.count) * x.width, 1);
  const u32 first = u32(part_), step = kernels_.panel_rows;
  const u32 pieces = u32(std::min<u64>(budget / (row * step), weights.rows / step + 1));
  const u32 end = u32(std::min<u64>(first + u64(std::max(pieces, 1u)) * step, weights.rows));
  multiply(op, {first, end}, x, out);
  part_ = end == weights.rows ? 0 : end;
  if (part_ == 0 && logits) work_.logit_rows += out.count;
  if (part_ == 0 && !logits) clear_padding(out);
  return row * (end - first);
}

template <class Real>
void Executor<Real>::multiply(const graph::MatMul& op, RowRange range, Rows<const Real> x, Rows<Real> out) {
  const Matrix weights = matrix(op.weight);
  if constexpr (std::is_same_v<Real, double>) {
    matmul<Real>(weights, x, vector(op.bias), out, range.first, range.end);
  } else {
    CHECK(x.width == weights.cols && out.width == weights.rows && x.count == out.count);
    if (MultiplyQuantized* quantized = quantizes_ ? kernels_.quantized(*weights.format) : nullptr) {
      quantized(weights, range, quantize(op.x, x), vector(op.bias), out);
    } else {
      kernels_.floats(weights, range, x, vector(op.bias), out);
    }
  }
}

template <class Real>
const QuantizedRows& Executor<Real>::quantize(ValueId id, Rows<const Real> x) {
  if (quantized_of_ != id) {
    quantized_ = quantized_buffer_.rows(x.count, x.width);
    if constexpr (std::is_same_v<Real, float>) kernels_.quantize(x, quantized_);
    quantized_of_ = id;
  }
  return quantized_;
}

template <class Real>
u64 Executor<Real>::step(const graph::Rope& op, u64) {
  rope<Real>(rows(op.x), graph_.heads, cosines_.data(), sines_.data(), rows(op.out));
  clear_padding(rows(op.out));
  return rows(op.out).elements();
}

template <class Real>
u64 Executor<Real>::step(const graph::StoreKv& op, u64) {
  cache_.store(op.layer, position_, rows(op.k), rows(op.v));
  return rows(op.k).elements() + rows(op.v).elements();
}

template <class Real>
u64 Executor<Real>::step(const graph::Attention& op, u64 budget) {
  const Rows<Real> q = rows(op.q), out = rows(op.out);
  const AttentionBlocks blocks(graph_.heads, position_, q.count);
  const u64 cost = 2 * u64(kv_rows) * q.elements() / graph_.heads.kv;  // of a block: scores, and sums of values
  u64 made = 0;
  for (; part_ < blocks.count() && (made == 0 || made + cost <= budget); made += cost) {
    attend<Real>(cache_, op.layer, graph_.heads, q, position_, part_++, scratch_, out, &kernels_);
  }
  if (part_ < blocks.count()) return made;
  clear_padding(out);
  part_ = 0;
  return made;
}

template <class Real>
u64 Executor<Real>::step(const graph::Add& op, u64) {
  add<Real>(rows(op.a), rows(op.b), rows(op.out));
  clear_padding(rows(op.out));
  return rows(op.out).elements();
}

template <class Real>
u64 Executor<Real>::step(const graph::SwiGlu& op, u64) {
  if constexpr (std::is_same_v<Real, float>) {
    kernels_.swiglu(rows(op.gate), rows(op.up), rows(op.out));
  } else {
    swiglu<Real>(rows(op.gate), rows(op.up), rows(op.out));
  }
  clear_padding(rows(op.out));
  return rows(op.out).elements();
}

template class Executor<float>;
template class Executor<double>;

}  // namespace pronk::cpu
