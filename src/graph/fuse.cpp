#include <algorithm>
#include <map>

#include "graph/graph.h"

namespace pronk::graph {
namespace {

// Blocks that fill whole 4-byte words in every plane: the unit in which weights are written to a device.
u32 write_granule(const formats::Format& format) {
  u32 granule = 1;
  for (u32 p = 0; p < format.gpu.plane_count; ++p) {
    while (granule * format.gpu.plane_bytes[p] % 4 != 0) granule *= 2;
  }
  return granule;
}

// Starts from what must be computed (writes to the cache, the residual stream, the logits) and emits, before each, the
// products that it needs.
class Fuser {
 public:
  explicit Fuser(const Graph& graph) : graph_(graph), producer_(graph.values.size(), none), uses_(producer_.size()) {
    fused_.values = graph.values;
    for (u32 i = 0; i < graph.ops.size(); ++i) index(i);
  }

  Result<FusedGraph> run() {
    for (u32 i = 0; i < graph_.ops.size(); ++i) {
      if (const auto* embed = as<Embed>(i)) emit(*embed, {i});
      if (const auto* store = as<StoreKv>(i)) PRONK_OK(store_kv(i, *store));
      if (const auto* attention = as<Attention>(i)) attend(i, *attention);
      if (const auto* add = as<Add>(i)) PRONK_OK(residual(i, *add));
    }
    PRONK_OK(materialize(graph_.logits));
    return std::move(fused_);
  }

 private:
  static constexpr u32 none = ~0u;

  template <class Op>
  const Op* as(u32 op) const {
    return op == none ? nullptr : std::get_if<Op>(&graph_.ops[op]);
  }
  template <class Op>
  const Op* made_by(ValueId value) const {
    return as<Op>(producer_[u32(value)]);
  }
  u32 producer(ValueId value) const { return producer_[u32(value)]; }

  void index(u32 op) {
    const auto made = [&](ValueId out) { producer_[u32(out)] = op; };
    const auto used = [&](ValueId in) { uses_[u32(in)].push_back(op); };
    for_each_operand(graph_.ops[op], used, made);
  }

  void emit(FusedOp op, std::vector<u32> plain) {
    FusedNode node{std::move(op), {}};
    std::sort(plain.begin(), plain.end());
    for (u32 i : plain) node.plain.push_back(graph_.ops[i]);
    fused_.nodes.push_back(std::move(node));
  }

  void make_slice(ValueId value, ValueId parent, u32 column) {
    fused_.values[u32(value)].parent = parent;
    fused_.values[u32(value)].column = column;
  }

  // A matmul over `input`, its norm folded in when the input is one.
  Result<FusedMatMul> over(ValueId input, std::vector<u32>& plain) {
    FusedMatMul fused;
    fused.x = input;
    if (const auto* norm = made_by<RmsNorm>(input); norm && graph_[norm->weight].cols == graph_[input].width) {
      fused.x = norm->x;
      fused.norm = norm->weight;
      fused.eps = norm->eps;
      plain.push_back(producer(input));
    }
    PRONK_OK(materialize(fused.x));
    return fused;
  }

  Status single(u32 op, const MatMul& matmul, Epilogue epilogue, ValueId out, std::vector<u32> plain) {
    plain.push_back(op);
    PRONK_TRY(FusedMatMul fused, over(matmul.x, plain));
    fused.parts = {{matmul.weight, matmul.bias}};
    fused.epilogue = epilogue;
    fused.out = out;
    done_[out] = true;
    emit(std::move(fused), std::move(plain));
    return {};
  }

  // `out` takes over the memory of `old`, which cannot be read any more from here on.
  void overwrite(ValueId out, ValueId old) {
    make_slice(out, old, 0);
    overwritten_[old] = true;
  }

  Status materialize(ValueId value) {
    if (overwritten_[value]) {
      return fail(ErrorCode::unsupported,
                  "this graph reads a value after it is overwritten in place; no kernel does that");
    }
    if (done_[value]) return {};
    const u32 op = producer(value);
    if (as<Embed>(op) || as<Attention>(op) || as<Add>(op)) return {};  // emitted where they stand
    if (const auto* matmul = as<MatMul>(op)) return single(op, *matmul, Epilogue::none, value, {});
    if (const auto* swiglu = as<SwiGlu>(op)) return gated(op, *swiglu);
    return fail(ErrorCode::unsupported,
                "this graph reads a norm or a rotated value outside of a product or attention; no kernel does that");
  }

  // gate and up in one product when their rows can lie side by side, else one after the other.
  Status gated(u32 op, const SwiGlu& swiglu) {
    const auto* gate = made_by<MatMul>(swiglu.gate);
    const auto* up = made_by<MatMul>(swiglu.up);
    if (!gate || !up)
      return fail(ErrorCode::unsupported,
                  "this graph has a SwiGLU whose inputs are not matrix products; no kernel does that");
    const u32 gate_op = producer(swiglu.gate), up_op = producer(swiglu.up);
    const bool biased = gate->bias != WeightId::none || up->bias != WeightId::none;
    if (gate->x == up->x && !biased && joinable(gate->weight, up->weight)) {
      std::vector<u32> plain{gate_op, up_op, op};
      PRONK_TRY(FusedMatMul fused, over(gate->x, plain));
      fused.parts = {{gate->weight, WeightId::none}, {up->weight, WeightId::none}};
      fused.epilogue = Epilogue::swiglu;
      fused.out = swiglu.out;
      done_[swiglu.out] = true;
      emit(std::move(fused), std::move(plain));
      return {};
    }
    PRONK_OK(materialize(swiglu.gate));
    overwrite(swiglu.out, swiglu.gate);
    return single(up_op, *up, Epilogue::gate, swiglu.out, {op});
  }

  Status residual(u32 op, const Add& add) {
    for (const auto& [stream, branch] : {std::pair{add.a, add.b}, std::pair{add.b, add.a}}) {
      const auto* matmul = made_by<MatMul>(branch);
      if (!matmul || uses_[u32(branch)].size() != 1 || uses_[u32(stream)].back() != op) continue;
      PRONK_OK(materialize(stream));
      PRONK_OK(single(producer(branch), *matmul, Epilogue::add, add.out, {op}));
      overwrite(add.out, stream);
      return {};
    }
    return fail(ErrorCode::unsupported,
                "this graph adds two values of which neither is a matrix product used once; no kernel does that");
  }

  struct Projection {
    u32 matmul = none;
    WeightId norm = WeightId::none;
    float eps = 0;
    bool rotated = false;
  };

  // value ← [RoPE] ← [RMS norm of each head] ← matmul
  Result<Projection> project(ValueId value, std::vector<u32>& plain) const {
    Projection projection;
    if (const auto* rope = made_by<Rope>(value)) {
      plain.push_back(producer(value));
      projection.rotated = true;
      value = rope->x;
    }
    if (const auto* norm = made_by<RmsNorm>(value)) {
      if (graph_[norm->weight].cols != graph_.heads.dim) {
        return fail(ErrorCode::unsupported,
                    "this graph norms q or k in groups that are not heads; no kernel does that");
      }
      plain.push_back(producer(value));
      projection.norm = norm->weight;
      projection.eps = norm->eps;
      value = norm->x;
    }
    if (!made_by<MatMul>(value))
      return fail(ErrorCode::unsupported, "attention reads a value that is not a projection; no kernel does that");
    projection.matmul = producer(value);
    return projection;
  }

  // Rows of b can directly follow rows of a in one weight.
  bool joinable(WeightId a, WeightId b) const {
    const Weight &wa = graph_[a], &wb = graph_[b];
    if (wa.format != wb.format || wa.cols != wb.cols) return false;
    const u64 row_blocks = formats::gpu_row_weights(*wa.format, wa.cols) / wa.format->block_weights;
    return wa.rows * row_blocks % write_granule(*wa.format) == 0;
  }

  Status store_kv(u32 op, const StoreKv& store) {
    ValueId q = ValueId::none;
    for (const auto& candidate : graph_.ops) {
      const auto* attention = std::get_if<Attention>(&candidate);
      if (attention && attention->layer == store.layer) q = attention->q;
    }
    CHECK(q != ValueId::none);
    std::vector<u32> plain{op};
    PRONK_TRY(const Projection pq, project(q, plain));
    PRONK_TRY(const Projection pk, project(store.k, plain));
    PRONK_TRY(const Projection pv, project(store.v, plain));
    if (!pq.rotated || !pk.rotated || pv.rotated || pv.norm != WeightId::none) {
      return fail(ErrorCode::unsupported,
                  "this graph does not rotate q and k, or it rotates or norms v; no kernel does that");
    }
    PRONK_TRY(const ValueId joined, join({{pq.matmul, q}, {pk.matmul, store.k}, {pv.matmul, store.v}}));
    PRONK_OK(multiply_into(joined, {pq.matmul, pk.matmul, pv.matmul}));
    emit(RotateStore{store.layer, joined, pq.norm, pk.norm, pq.norm != WeightId::none ? pq.eps : pk.eps}, plain);
    return {};
  }

  // One value that holds the outputs of all matmuls side by side; each output, and what is made of it in place,
  // becomes a slice.
  Result<ValueId> join(std::initializer_list<std::pair<u32, ValueId>> columns) {
    u64 width = 0;
    for (const auto& [op, last] : columns) width += graph_[as<MatMul>(op)->out].width;
    if (width > max_width) {
      return fail("queries, keys and values of a token are " + std::to_string(width) + " numbers, more than " +
                  std::to_string(max_width));
    }
    const ValueId joined = ValueId(fused_.values.size());
    fused_.values.push_back({u32(width)});
    u32 column = 0;
    for (const auto& [op, last] : columns) {
      const ValueId out = as<MatMul>(op)->out;
      for (ValueId value = last;; value = inside(value)) {
        make_slice(value, joined, column);
        if (value == out) break;
      }
      column += graph_[out].width;
    }
    return joined;
  }

  ValueId inside(ValueId value) const {
    if (const auto* rope = made_by<Rope>(value)) return rope->x;
    return made_by<RmsNorm>(value)->x;
  }

  // Runs of neighbours that share input and format become one product each.
  Status multiply_into(ValueId joined, std::vector<u32> matmuls) {
    for (std::size_t i = 0; i < matmuls.size();) {
      const MatMul& first = *as<MatMul>(matmuls[i]);
      std::vector<u32> plain{matmuls[i]};
      FusedMatMul fused;
      fused.parts = {{first.weight, first.bias}};
      u32 width = graph_[first.out].width;
      std::size_t next = i + 1;
      for (; next < matmuls.size(); ++next) {
        const MatMul& other = *as<MatMul>(matmuls[next]);
        if (other.x != first.x || !joinable(fused.parts.back().weight, other.weight)) break;
        fused.parts.push_back({other.weight, other.bias});
        plain.push_back(matmuls[next]);
        width += graph_[other.out].width;
      }
      PRONK_TRY(const FusedMatMul input, over(first.x, plain));
      fused.x = input.x, fused.norm = input.norm, fused.eps = input.eps;
      fused.out = ValueId(fused_.values.size());
      fused_.values.push_back({width, joined, slice_of(fused_.values, first.out).column});
      emit(std::move(fused), std::move(plain));
      i = next;
    }
    return {};
  }

  // Each head's output replaces its query.
  void attend(u32 op, const Attention& attention) {
    make_slice(attention.out, attention.q, 0);
    emit(attention, {op});
  }

  const Graph& graph_;
  FusedGraph fused_;
  std::vector<u32> producer_;
  std::vector<std::vector<u32>> uses_;
  std::map<ValueId, bool> done_, overwritten_;
};

}  // namespace

Result<FusedGraph> fuse(const Graph& graph) { return Fuser(graph).run(); }

Slice slice_of(const std::vector<Value>& values, ValueId id) {
  Slice result{id, 0};
  while (values[u32(result.root)].parent != ValueId::none) {
    result.column += values[u32(result.root)].column;
    result.root = values[u32(result.root)].parent;
  }
  return result;
}

}  // namespace pronk::graph
