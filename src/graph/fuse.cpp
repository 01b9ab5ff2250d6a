#include <algorithm>

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

bool is_gate(Function function) {
  return function == Function::silu_gate || function == Function::gelu_gate || function == Function::gelu_tanh_gate ||
         function == Function::relu_squared_gate || function == Function::sigmoid_gate;
}

// Starts with a node for each plain operation, and applies one rule after the other. A rule moves operations into a
// node that stands where the last of them stood, so that all it reads has been made; what is overwritten in place comes
// last, when it is known who reads what where.
class Fuser {
 public:
  explicit Fuser(const Graph& graph) : graph_(graph), producer_(graph.values.size(), none), readers_(producer_.size()) {
    fused_.values = graph.values;
    for (u32 i = 0; i < graph.ops.size(); ++i) {
      const auto made = [&](ValueId out) { producer_[u32(out)] = i; };
      const auto used = [&](ValueId in) { readers_[u32(slice_of(graph.values, in).root)].push_back(i); };
      for_each_operand(graph.ops[i], used, made);
      nodes_.push_back({{std::visit([](const auto& op) -> FusedOp { return op; }, graph.ops[i]), {i}}});
    }
  }

  Result<FusedGraph> run() {
    const u32 count = u32(nodes_.size());
    for (u32 i = 0; i < count; ++i) multiply(i);
    for (u32 i = 0; i < count; ++i) drop_folded_norm(i);
    for (u32 i = 0; i < count; ++i) PRONK_OK(attend(i));
    for (u32 i = 0; i < count; ++i) attend_in_place(i);
    for (u32 i = 0; i < count; ++i) gate(i);
    for (u32 i = 0; i < count; ++i) add(i);
    for (auto& here : nodes_) {
      for (Node& node : here) emit(std::move(node));
    }
    return std::move(fused_);
  }

 private:
  static constexpr u32 none = ~0u;

  struct Node {
    FusedOp op;
    std::vector<u32> plain;  // indices
  };

  template <class Op>
  const Op* as(u32 op) const {
    return op == none ? nullptr : std::get_if<Op>(&graph_.ops[op]);
  }
  // Null for a slice of what an operation makes.
  template <class Op>
  const Op* made_by(ValueId value) const {
    return value == ValueId::none ? nullptr : as<Op>(producer(value));
  }
  u32 producer(ValueId value) const { return producer_[u32(value)]; }
  u32 width(ValueId value) const { return graph_[value].width; }
  ValueId root(ValueId value) const { return slice_of(fused_.values, value).root; }

  bool is_whole(ValueId value) const { return graph_[value].parent == ValueId::none; }
  // One operation reads the value, once, and nobody else reads it or a part of it. (Nobody reads what the last
  // operation makes, the output.)
  bool used_once(ValueId value) const { return value != ValueId::none && readers_[u32(value)].size() == 1; }

  void emit(Node node) {
    FusedNode result{std::move(node.op), {}};
    std::sort(node.plain.begin(), node.plain.end());
    for (u32 i : node.plain) result.plain.push_back(graph_.ops[i]);
    fused_.nodes.push_back(std::move(result));
  }

  void make_slice(ValueId value, ValueId parent, u32 column) {
    fused_.values[u32(value)].parent = parent;
    fused_.values[u32(value)].column = column;
  }

  // ---- Products, with the RMS norm of what they read

  bool is_plain_product(const MatMul& matmul) const { return matmul.slots == 1 && matmul.chosen == ValueId::none; }

  // An RMS norm over whole rows of which only products make use.
  bool folds(const Norm& norm) const {
    if (norm.kind != Norm::Kind::rms || norm.weight == WeightId::none || norm.bias != WeightId::none) return false;
    if (norm.scale != 1 || norm.group != width(norm.x) || graph_[norm.weight].cols != norm.group) return false;
    const auto& readers = readers_[u32(norm.out)];
    return !readers.empty() && std::all_of(readers.begin(), readers.end(), [&](u32 op) {
      const auto* matmul = as<MatMul>(op);
      return matmul && matmul->x == norm.out && is_plain_product(*matmul);
    });
  }

  void multiply(u32 op) {
    const auto* matmul = as<MatMul>(op);
    if (!matmul || !is_plain_product(*matmul)) return;
    Node node{{}, {op}};
    FusedMatMul product;
    product.x = matmul->x;
    product.parts = {{matmul->weight, matmul->bias}};
    product.out = matmul->out;
    if (const auto* norm = made_by<Norm>(matmul->x); norm && folds(*norm)) {
      product.x = norm->x;
      product.norm = norm->weight;
      product.eps = norm->eps;
      node.plain.push_back(producer(matmul->x));
    }
    node.op = std::move(product);
    nodes_[op] = {std::move(node)};
  }

  void drop_folded_norm(u32 op) {
    if (const auto* norm = as<Norm>(op); norm && folds(*norm)) nodes_[op].clear();
  }

  // The product that makes a value, while it stands on its own.
  const FusedMatMul* product_of(ValueId value) const {
    if (!made_by<MatMul>(value) || nodes_[producer(value)].size() != 1) return nullptr;
    const auto* product = std::get_if<FusedMatMul>(&nodes_[producer(value)].front().op);
    return product && product->out == value && product->parts.size() == 1 && product->epilogue == Epilogue::none
               ? product
               : nullptr;
  }

  Node take(u32 op) {
    Node node = std::move(nodes_[op].front());
    nodes_[op].clear();
    return node;
  }

  // Rows of b can directly follow rows of a in one weight.
  bool joinable(WeightId a, WeightId b) const {
    const Weight &wa = graph_[a], &wb = graph_[b];
    if (wa.format != wb.format || wa.cols != wb.cols) return false;
    if (wa.books != WeightId::none) return false;  // each has books of its own
    const u64 row_blocks = formats::gpu_row_weights(*wa.format, wa.cols) / wa.format->block_weights;
    return wa.rows * row_blocks % write_granule(*wa.format) == 0;
  }

  // ---- Attention with the projections before it

  struct Projection {
    ValueId last = ValueId::none;     // what attention or the state reads
    ValueId product = ValueId::none;  // what the product makes
    WeightId norm = WeightId::none;
    float eps = 0;
    RopeId table = RopeId::none;
    std::vector<u32> between;  // operations behind the product
  };

  // value ← [RoPE] ← [RMS norm of each head] ← product, each used only here. Without a product when it is something
  // else.
  Projection project(ValueId value, u32 head) const {
    Projection p;
    p.last = value;
    if (const auto* rope = made_by<Rope>(value); rope && used_once(value) && rope->head == head && rope->first == 0) {
      p.table = rope->table;
      p.between.push_back(producer(value));
      value = rope->x;
    }
    if (const auto* norm = made_by<Norm>(value); norm && used_once(value) && is_head_norm(*norm, head)) {
      p.norm = norm->weight;
      p.eps = norm->eps;
      p.between.push_back(producer(value));
      value = norm->x;
    }
    if (used_once(value) && product_of(value)) p.product = value;
    return p;
  }

  bool is_head_norm(const Norm& norm, u32 head) const {
    return norm.kind == Norm::Kind::rms && norm.group == head && norm.scale == 1 && norm.bias == WeightId::none &&
           norm.weight != WeightId::none && graph_[norm.weight].cols == head;
  }

  // The write to an attention's state, when none but the two use the state between them.
  u32 store_before(u32 attention) const {
    const StateId state = as<Attention>(attention)->state;
    for (u32 i = attention; i-- > 0;) {
      if (const auto* store = as<StoreKv>(i); store && store->state == state) return i;
      if (const auto* other = as<Attention>(i); other && other->state == state) return none;
    }
    return none;
  }

  Status attend(u32 op) {
    const auto* attention = as<Attention>(op);
    const u32 store_op = attention ? store_before(op) : none;
    if (store_op == none) return {};
    const KvState& state = graph_.kv(attention->state);
    if (state.values_in_keys || state.key_width != state.value_width) return {};
    const StoreKv& store = *as<StoreKv>(store_op);
    const Projection q = project(attention->q, state.key_width), k = project(store.k, state.key_width),
                     v = project(store.v, state.key_width);
    for (const Projection* each : {&q, &k, &v}) {
      if (each->product == ValueId::none) return {};
    }
    if (q.table != k.table || v.last != v.product) return {};
    if (q.norm != WeightId::none && k.norm != WeightId::none && q.eps != k.eps) return {};

    PRONK_TRY(const ValueId joined, join({&q, &k, &v}));
    std::vector<Node> nodes;
    multiply_into(joined, {q.product, k.product, v.product}, nodes);
    Node rotate{RotateStore{.state = attention->state,
                            .qkv = joined,
                            .heads = attention->heads,
                            .table = q.table,
                            .q_norm = q.norm,
                            .k_norm = k.norm,
                            .eps = q.norm != WeightId::none ? q.eps : k.eps},
                {store_op}};
    for (const Projection* each : {&q, &k}) {
      rotate.plain.insert(rotate.plain.end(), each->between.begin(), each->between.end());
    }
    for (u32 moved : rotate.plain) nodes_[moved].clear();
    nodes.push_back(std::move(rotate));
    nodes.push_back(take(op));
    make_slice(attention->out, attention->q, 0);  // each head's output replaces its query
    nodes_[op] = std::move(nodes);
    return {};
  }

  // Each head's output replaces its query, when nobody reads that later.
  void attend_in_place(u32 op) {
    const auto* attention = as<Attention>(op);
    if (!attention || root(attention->out) != attention->out || is_read_after(op, attention->q)) return;
    const KvState& state = graph_.kv(attention->state);
    if (!state.values_in_keys && state.key_width == state.value_width) make_slice(attention->out, attention->q, 0);
  }

  // One value that holds the outputs of all products side by side; each output, and what is made of it in place,
  // becomes a slice.
  Result<ValueId> join(std::initializer_list<const Projection*> projections) {
    u64 sum = 0;
    for (const Projection* p : projections) sum += width(p->last);
    if (sum > max_width) {
      return fail("queries, keys and values of a token are " + std::to_string(sum) + " numbers, more than " +
                  std::to_string(max_width));
    }
    const ValueId joined = new_value({u32(sum)});
    u32 column = 0;
    for (const Projection* p : projections) {
      make_slice(p->product, joined, column);
      for (u32 op : p->between) {
        for_each_operand(graph_.ops[op], [](ValueId) {}, [&](ValueId out) { make_slice(out, joined, column); });
      }
      column += width(p->last);
    }
    return joined;
  }

  ValueId new_value(Value value) {
    fused_.values.push_back(value);
    return ValueId(fused_.values.size() - 1);
  }

  // Runs of neighbours that share input and format become one product each.
  void multiply_into(ValueId joined, std::initializer_list<ValueId> products, std::vector<Node>& nodes) {
    FusedMatMul* run = nullptr;
    for (const ValueId value : products) {
      Node node = take(producer(value));
      auto& product = std::get<FusedMatMul>(node.op);
      if (run && run->x == product.x && run->norm == product.norm && run->eps == product.eps &&
          joinable(run->parts.back().weight, product.parts[0].weight)) {
        run->parts.push_back(product.parts[0]);
        fused_.values[u32(run->out)].width += width(value);
        auto& plain = nodes.back().plain;
        plain.insert(plain.end(), node.plain.begin(), node.plain.end());
        std::sort(plain.begin(), plain.end());
        plain.erase(std::unique(plain.begin(), plain.end()), plain.end());
        continue;
      }
      product.out = new_value({width(value), joined, fused_.values[u32(value)].column});
      nodes.push_back(std::move(node));
      run = &std::get<FusedMatMul>(nodes.back().op);
    }
  }

  // ---- Gates: two products in one when their rows can lie side by side, else the second takes the first's place

  void gate(u32 op) {
    const auto* map = as<Map>(op);
    if (!map || !is_gate(map->function) || map->weight != WeightId::none) return;
    const FusedMatMul* b = product_of(map->b);
    if (!b || !used_once(map->a) || !used_once(map->b) || width(map->a) != width(map->b)) return;
    const FusedMatMul* a = product_of(map->a);
    const auto biased = [](const FusedMatMul* product) { return product->parts[0].bias != WeightId::none; };
    if (a && a->x == b->x && a->norm == b->norm && a->eps == b->eps && !biased(a) && !biased(b) &&
        joinable(a->parts[0].weight, b->parts[0].weight)) {
      Node node = take(producer(map->a));
      const FusedMatMul::Part second = b->parts[0];
      take(producer(map->b));
      node.plain.insert(node.plain.end(), {producer(map->b), op});
      auto& product = std::get<FusedMatMul>(node.op);
      product.parts.push_back(second);
      product.epilogue = Epilogue::gated;
      product.gate = map->function;
      product.out = map->out;
      nodes_[op] = {std::move(node)};
    } else {
      Node node = take(producer(map->b));
      node.plain.push_back(op);
      auto& product = std::get<FusedMatMul>(node.op);
      product.epilogue = Epilogue::gate;
      product.gate = map->function;
      product.out = map->out;
      make_slice(map->out, map->a, 0);
      nodes_[op] = {std::move(node)};
    }
  }

  // ---- Sums: a product is added in place, a norm on its way

  void add(u32 op) {
    const auto* map = as<Map>(op);
    if (!map || map->function != Function::add || map->weight != WeightId::none || width(map->a) != width(map->b))
      return;
    for (const auto& [stream, branch] : {std::pair{map->a, map->b}, std::pair{map->b, map->a}}) {
      if (used_once(branch) && (add_product(op, stream, branch) || add_norm(op, stream, branch))) return;
    }
  }

  bool add_product(u32 op, ValueId stream, ValueId branch) {
    const FusedMatMul* product = product_of(branch);
    const ValueId out = as<Map>(op)->out;
    if (!product || !is_whole(stream) || root(stream) == root(product->x)) return false;
    if (is_read_after(op, stream) || is_written_between(producer(branch), op, product->x)) return false;
    Node node = take(producer(branch));
    node.plain.push_back(op);
    auto& sum = std::get<FusedMatMul>(node.op);
    sum.epilogue = Epilogue::add;
    sum.out = out;
    make_slice(out, stream, 0);
    nodes_[op] = {std::move(node)};
    return true;
  }

  bool add_norm(u32 op, ValueId stream, ValueId branch) {
    const auto* norm = made_by<Norm>(branch);
    if (!norm || is_written_between(producer(branch), op, norm->x)) return false;
    take(producer(branch));
    nodes_[op] = {{NormAdd{.norm = *norm, .residual = stream, .out = as<Map>(op)->out}, {producer(branch), op}}};
    return true;
  }

  // Whether an operation behind `op` reads memory of the value.
  bool is_read_after(u32 op, ValueId value) const { return touches(op + 1, u32(nodes_.size()), value, true); }
  bool is_written_between(u32 first, u32 last, ValueId value) const { return touches(first + 1, last, value, false); }

  bool touches(u32 first, u32 end, ValueId value, bool reads) const {
    bool found = false;
    const auto look = [&](ValueId id) { found = found || root(id) == root(value); };
    const auto ignore = [](ValueId) {};
    for (u32 i = first; i < end && !found; ++i) {
      for (const Node& node : nodes_[i]) {
        reads ? for_each_operand(node.op, look, ignore) : for_each_operand(node.op, ignore, look);
      }
    }
    return found;
  }

  const Graph& graph_;
  FusedGraph fused_;
  std::vector<u32> producer_;              // of each value, none for a slice
  std::vector<std::vector<u32>> readers_;  // of each value that is no slice, and of its slices
  std::vector<std::vector<Node>> nodes_;   // by the plain operation at whose place they stand
};

}  // namespace

Result<FusedGraph> fuse(const Graph& graph) { return Fuser(graph).run(); }

}  // namespace pronk::graph
