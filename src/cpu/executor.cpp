#include "cpu/executor.h"

#include "graph/memory_plan.h"

namespace pronk::cpu {
namespace {

using graph::Graph;
using graph::ValueId;
using graph::WeightId;

constexpr u64 arena_alignment = 64;  // bytes: a cache line

template <class Visit>
void each_read(const graph::PlainOp& op, const Visit& visit) {
  std::visit(
      [&](const auto& o) {
        if constexpr (requires { o.x; }) visit(o.x);
        if constexpr (requires { o.k; }) visit(o.k), visit(o.v);
        if constexpr (requires { o.q; }) visit(o.q);
        if constexpr (requires { o.a; }) visit(o.a), visit(o.b);
        if constexpr (requires { o.gate; }) visit(o.gate), visit(o.up);
      },
      op);
}

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
    std::visit(
        [&](const auto& op) {
          if constexpr (requires { op.out; }) {
            const u64 row_bytes = graph::row_stride(graph[op.out].width) * element_bytes;
            const u64 bytes = op.out == graph.logits ? 0 : row_bytes * chunk;
            intervals[u32(op.out)] = {bytes, i, i};
          }
        },
        graph.ops[i]);
    each_read(graph.ops[i], [&](ValueId id) { intervals[u32(id)].last = i; });
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
  const graph::MemoryPlan plan = plan_arena(graph, chunk, sizeof(Real));
  arena_.resize(plan.buffer_bytes[0] / sizeof(Real));
  for (const graph::Placement& placement : plan.placements) places_.push_back(placement.offset / sizeof(Real));
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
std::span<const Real> Executor<Real>::run(std::span<const u32> tokens, u32 position, bool all_logits) {
  CHECK(!tokens.empty() && position <= context_length_ && tokens.size() <= context_length_ - position);
  const u32 vocabulary = graph_[graph_.logits].width;
  const u64 rows_out = all_logits ? tokens.size() : 1;
  if (logits_.size() < rows_out * vocabulary) logits_.resize(to_size(rows_out * vocabulary));
  for (u64 first = 0; first < tokens.size(); first += chunk_) {
    tokens_ = tokens.subspan(first, std::min<u64>(chunk_, tokens.size() - first));
    position_ = u32(position + first);
    const bool last = first + tokens_.size() == tokens.size();
    logits_out_ = {logits_.data() + (all_logits ? first * vocabulary : 0), all_logits ? u32(tokens_.size()) : u32(last),
                   vocabulary, vocabulary};
    turn();
    quantized_of_ = ValueId::none;
    for (const auto& op : graph_.ops) {
      if (!std::holds_alternative<graph::MatMul>(op)) quantized_of_ = ValueId::none;
      std::visit([&](const auto& o) { step(o); }, op);
    }
  }
  return std::span(logits_).first(to_size(rows_out * vocabulary));
}

// The angles of this chunk's positions, in double whatever Real is.
template <class Real>
void Executor<Real>::turn() {
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
void Executor<Real>::step(const graph::Embed& op) {
  const Matrix table = matrix(op.table);
  const Rows<Real> out = rows(op.out);
  for (u32 t = 0; t < out.count; ++t) {
    CHECK(tokens_[t] < table.rows);
    decode_row(table, tokens_[t], out[t]);
  }
  clear_padding(out);
}

template <class Real>
void Executor<Real>::step(const graph::RmsNorm& op) {
  rms_norm<Real>(rows(op.x), vector(op.weight), graph_[op.weight].cols, op.eps, rows(op.out));
  clear_padding(rows(op.out));
}

template <class Real>
void Executor<Real>::step(const graph::MatMul& op) {
  Rows<Real> x = rows(op.x);
  if (op.out == graph_.logits) {
    if (logits_out_.count == 0) return;
    x.data = x[x.count - logits_out_.count];
    x.count = logits_out_.count;
    quantized_of_ = ValueId::none;  // other rows than the rest of the graph has
    multiply(op, x, logits_out_);
  } else {
    multiply(op, x, rows(op.out));
    clear_padding(rows(op.out));
  }
}

template <class Real>
void Executor<Real>::multiply(const graph::MatMul& op, Rows<const Real> x, Rows<Real> out) {
  const Matrix weights = matrix(op.weight);
  if constexpr (std::is_same_v<Real, double>) {
    matmul<Real>(weights, x, vector(op.bias), out);
  } else {
    CHECK(x.width == weights.cols && out.width == weights.rows && x.count == out.count);
    const RowRange all{0, weights.rows};
    if (MultiplyQuantized* quantized = quantizes_ ? kernels_.quantized(*weights.format) : nullptr) {
      quantized(weights, all, quantize(op.x, x), vector(op.bias), out);
    } else {
      kernels_.floats(weights, all, x, vector(op.bias), out);
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
void Executor<Real>::step(const graph::Rope& op) {
  rope<Real>(rows(op.x), graph_.heads, cosines_.data(), sines_.data(), rows(op.out));
  clear_padding(rows(op.out));
}

template <class Real>
void Executor<Real>::step(const graph::StoreKv& op) {
  cache_.store(op.layer, position_, rows(op.k), rows(op.v));
}

template <class Real>
void Executor<Real>::step(const graph::Attention& op) {
  attention<Real>(cache_, op.layer, graph_.heads, rows(op.q), position_, scratch_, rows(op.out));
  clear_padding(rows(op.out));
}

template <class Real>
void Executor<Real>::step(const graph::Add& op) {
  add<Real>(rows(op.a), rows(op.b), rows(op.out));
  clear_padding(rows(op.out));
}

template <class Real>
void Executor<Real>::step(const graph::SwiGlu& op) {
  swiglu<Real>(rows(op.gate), rows(op.up), rows(op.out));
  clear_padding(rows(op.out));
}

template class Executor<float>;
template class Executor<double>;

}  // namespace pronk::cpu
