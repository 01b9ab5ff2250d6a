// fuse(): what it makes of graphs that it knows, and that of any other nothing gets lost on the way.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "graph/graph.h"
#include "support/graph_llama.h"

namespace pronk::graph {
namespace {

using test::llama_graph;
using test::LlamaShape;

template <class Op>
std::vector<const Op*> all(const FusedGraph& fused) {
  std::vector<const Op*> result;
  for (const FusedNode& node : fused.nodes) {
    if (const auto* op = std::get_if<Op>(&node.op)) result.push_back(op);
  }
  return result;
}

FusedGraph must_fuse(const Graph& graph) {
  auto fused = fuse(graph);
  EXPECT_TRUE(fused.has_value()) << (fused ? "" : fused.error().message);
  return fused ? std::move(*fused) : FusedGraph{};
}

std::vector<ValueId> reads_of(const auto& op) {
  std::vector<ValueId> ids;
  for_each_operand(op, [&](ValueId id) { ids.push_back(id); }, [](ValueId) {});
  return ids;
}
std::vector<ValueId> writes_of(const auto& op) {
  std::vector<ValueId> ids;
  for_each_operand(op, [](ValueId) {}, [&](ValueId id) { ids.push_back(id); });
  return ids;
}

// Runs the plain operations of the nodes in the fused graph's memory, where each column knows what it holds: a column
// of a plain value.
class Execution {
 public:
  Execution(const Graph& graph, const FusedGraph& fused) : graph_(graph), fused_(fused) {}

  void run(const PlainOp& op) {
    for (const ValueId id : reads_of(op)) EXPECT_TRUE(holds(id)) << "value " << u32(id) << " is not there to be read";
    for (const ValueId id : writes_of(op)) {
      const Slice at = slice_of(fused_.values, id);
      auto& columns = memory_[at.root];
      columns.resize(fused_.values[u32(at.root)].width);
      for (u32 c = 0; c < graph_[id].width; ++c) columns[at.column + c] = {id, c};
    }
    if (const auto* store = std::get_if<StoreKv>(&op)) stored_[store->state] = store->k;
    if (const auto* attention = std::get_if<Attention>(&op)) seen_[attention->out] = stored_[attention->state];
  }

  bool holds(ValueId id) {
    const Slice plain = slice_of(graph_.values, id), at = slice_of(fused_.values, id);
    auto& columns = memory_[at.root];
    columns.resize(fused_.values[u32(at.root)].width);
    for (u32 c = 0; c < graph_[id].width; ++c) {
      if (columns[at.column + c] != Column{plain.root, plain.column + c}) return false;
    }
    return true;
  }
  // The keys that were stored last when each attention ran.
  const std::map<ValueId, ValueId>& seen() const { return seen_; }

 private:
  using Column = std::pair<ValueId, u32>;
  const Graph& graph_;
  const FusedGraph& fused_;
  std::map<ValueId, std::vector<Column>> memory_ = {};
  std::map<StateId, ValueId> stored_;
  std::map<ValueId, ValueId> seen_;
};

// Every plain operation is in some node, only norms in more than one, and running them node by node finds every
// input made before it is read and not yet written over.
void expect_covers(const Graph& graph, const FusedGraph& fused) {
  const FusedGraph unfused{graph.values, {}};
  Execution plain(graph, unfused), execution(graph, fused);
  for (const PlainOp& op : graph.ops) plain.run(op);
  const auto identity = [](const PlainOp& op) {
    const auto* store = std::get_if<StoreKv>(&op);
    return store ? std::pair(op.index(), store->k) : std::pair(op.index(), writes_of(op).front());
  };
  std::map<std::pair<std::size_t, ValueId>, u32> seen;
  for (const FusedNode& node : fused.nodes) {
    ASSERT_FALSE(node.plain.empty());
    for (const PlainOp& op : node.plain) {
      execution.run(op);
      ++seen[identity(op)];
    }
  }
  EXPECT_TRUE(execution.holds(graph.output));
  EXPECT_EQ(execution.seen(), plain.seen());
  for (const PlainOp& op : graph.ops) {
    const u32 count = seen[identity(op)];
    EXPECT_TRUE(count == 1 || (count > 1 && std::holds_alternative<Norm>(op)))
        << "operation kind " << op.index() << " is there " << count << " times";
  }
}

// Slices lie inside their roots; each product writes as many columns as its parts give.
void expect_consistent(const Graph& graph, const FusedGraph& fused) {
  ASSERT_GE(fused.values.size(), graph.values.size());
  for (u32 i = 0; i < fused.values.size(); ++i) {
    const Slice at = slice_of(fused.values, ValueId(i));
    EXPECT_LE(at.column + fused.values[i].width, fused.values[u32(at.root)].width) << "value " << i;
  }
  for (const FusedMatMul* matmul : all<FusedMatMul>(fused)) {
    u32 rows = 0;
    for (const auto& part : matmul->parts) {
      EXPECT_EQ(graph[part.weight].format, graph[matmul->parts[0].weight].format);
      EXPECT_EQ(graph[part.weight].cols, fused.values[u32(matmul->x)].width);
      rows += graph[part.weight].rows;
    }
    if (matmul->epilogue == Epilogue::gated) rows /= 2;
    EXPECT_EQ(rows, fused.values[u32(matmul->out)].width);
    if (matmul->norm != WeightId::none) EXPECT_EQ(graph[matmul->norm].cols, fused.values[u32(matmul->x)].width);
  }
}

// WebGPU forbids one dispatch to read and to write the same memory through two bindings: what works in place binds
// once.
void expect_apart(const FusedGraph& fused) {
  for (const FusedNode& node : fused.nodes) {
    if (std::holds_alternative<RotateStore>(node.op) || std::holds_alternative<Attention>(node.op)) continue;
    for (const ValueId read : reads_of(node.op)) {
      for (const ValueId written : writes_of(node.op)) {
        if (read != written) EXPECT_NE(slice_of(fused.values, read).root, slice_of(fused.values, written).root);
      }
    }
  }
}

FusedGraph checked_fuse(const Graph& graph) {
  FusedGraph fused = must_fuse(graph);
  expect_covers(graph, fused);
  expect_consistent(graph, fused);
  expect_apart(fused);
  return fused;
}

TEST(Fuse, LlamaLayerIsFourProductsARotationAndAttention) {
  LlamaShape shape;
  shape.layers = 3;
  const Graph graph = llama_graph(shape);
  const FusedGraph fused = checked_fuse(graph);
  ASSERT_EQ(fused.nodes.size(), 1u + 6 * shape.layers + 1);
  EXPECT_TRUE(std::holds_alternative<Embed>(fused.nodes[0].op));
  for (u32 il = 0; il < shape.layers; ++il) {
    const FusedNode* node = &fused.nodes[1 + 6 * il];
    const auto& qkv = std::get<FusedMatMul>(node[0].op);
    const auto& rotate = std::get<RotateStore>(node[1].op);
    const auto& attention = std::get<Attention>(node[2].op);
    const auto& output = std::get<FusedMatMul>(node[3].op);
    const auto& gate_up = std::get<FusedMatMul>(node[4].op);
    const auto& down = std::get<FusedMatMul>(node[5].op);
    ASSERT_EQ(qkv.parts.size(), 3u);
    EXPECT_TRUE(graph[qkv.parts[0].weight].name.ends_with("attn_q.weight"));
    EXPECT_TRUE(graph[qkv.parts[1].weight].name.ends_with("attn_k.weight"));
    EXPECT_TRUE(graph[qkv.parts[2].weight].name.ends_with("attn_v.weight"));
    EXPECT_TRUE(graph[qkv.norm].name.ends_with("attn_norm.weight"));
    EXPECT_EQ(qkv.eps, shape.eps);
    EXPECT_EQ(u32(rotate.state), il);
    EXPECT_EQ(u32(attention.state), il);
    EXPECT_EQ(rotate.heads, shape.heads.query);
    EXPECT_EQ(rotate.q_norm, WeightId::none);
    EXPECT_EQ(rotate.k_norm, WeightId::none);
    EXPECT_EQ(slice_of(fused.values, qkv.out).root, slice_of(fused.values, rotate.qkv).root);
    EXPECT_EQ(slice_of(fused.values, attention.out).root, slice_of(fused.values, rotate.qkv).root);
    EXPECT_EQ(slice_of(fused.values, attention.out).column, 0u);
    EXPECT_EQ(output.epilogue, Epilogue::add);
    EXPECT_EQ(output.norm, WeightId::none);
    EXPECT_EQ(gate_up.epilogue, Epilogue::gated);
    ASSERT_EQ(gate_up.parts.size(), 2u);
    EXPECT_TRUE(graph[gate_up.parts[0].weight].name.ends_with("ffn_gate.weight"));
    EXPECT_TRUE(graph[gate_up.norm].name.ends_with("ffn_norm.weight"));
    EXPECT_EQ(down.epilogue, Epilogue::add);
  }
  const auto& logits = std::get<FusedMatMul>(fused.nodes.back().op);
  EXPECT_EQ(graph[logits.norm].name, "output_norm.weight");
  EXPECT_EQ(logits.out, graph.output);
}

TEST(Fuse, TheResidualStreamIsOneValue) {
  const Graph graph = llama_graph({});
  const FusedGraph fused = must_fuse(graph);
  const ValueId stream = std::get<Embed>(fused.nodes[0].op).out;
  u32 adds = 0;
  for (const FusedMatMul* matmul : all<FusedMatMul>(fused)) {
    if (matmul->epilogue != Epilogue::add) continue;
    EXPECT_EQ(slice_of(fused.values, matmul->out).root, stream);
    ++adds;
  }
  EXPECT_EQ(adds, 2 * u32(graph.states.size()));
}

TEST(Fuse, QueriesKeysAndValuesLieSideBySide) {
  LlamaShape shape;
  shape.head_norm = true;
  const Graph graph = llama_graph(shape);
  const FusedGraph fused = checked_fuse(graph);
  const u32 q_width = shape.heads.query * shape.heads.dim, kv_width = shape.heads.kv * shape.heads.dim;
  u32 stores = 0;
  for (const PlainOp& op : graph.ops) {
    const auto* store = std::get_if<StoreKv>(&op);
    if (!store) continue;
    const RotateStore& rotate = *all<RotateStore>(fused)[u32(store->state)];
    EXPECT_EQ(slice_of(fused.values, store->k).root, slice_of(fused.values, rotate.qkv).root);
    EXPECT_EQ(slice_of(fused.values, store->k).column, q_width);
    EXPECT_EQ(slice_of(fused.values, store->v).column, q_width + kv_width);
    EXPECT_EQ(fused.values[u32(rotate.qkv)].width, q_width + 2 * kv_width);
    EXPECT_TRUE(graph[rotate.q_norm].name.ends_with("attn_q_norm.weight"));
    EXPECT_TRUE(graph[rotate.k_norm].name.ends_with("attn_k_norm.weight"));
    EXPECT_EQ(rotate.eps, shape.eps);
    ++stores;
  }
  EXPECT_EQ(stores, shape.layers);
}

TEST(Fuse, KeepsBiases) {
  LlamaShape shape;
  shape.bias = true;
  const Graph graph = llama_graph(shape);
  const FusedGraph fused = checked_fuse(graph);
  u32 biased = 0;
  for (const FusedMatMul* matmul : all<FusedMatMul>(fused)) {
    for (const auto& part : matmul->parts) {
      if (part.bias == WeightId::none) continue;
      const std::string& weight = graph[part.weight].name;
      EXPECT_EQ(graph[part.bias].name, weight.substr(0, weight.rfind('.')) + ".bias");
      ++biased;
    }
  }
  EXPECT_EQ(biased, 3 * shape.layers);
}

TEST(Fuse, MixedFormatsSplitProducts) {
  LlamaShape shape;
  shape.matrix = "Q4_0";
  shape.v = "Q8_0";
  shape.up = "Q8_0";
  const Graph graph = llama_graph(shape);
  const FusedGraph fused = checked_fuse(graph);
  EXPECT_EQ(fused.nodes.size(), 1u + 8 * shape.layers + 1);  // q+k | v, gate | up
  const auto& qk = std::get<FusedMatMul>(fused.nodes[1].op);
  const auto& v = std::get<FusedMatMul>(fused.nodes[2].op);
  EXPECT_EQ(qk.parts.size(), 2u);
  EXPECT_EQ(v.parts.size(), 1u);
  EXPECT_EQ(v.norm, qk.norm);
  const Slice at = slice_of(fused.values, v.out);
  EXPECT_EQ(at.root, slice_of(fused.values, qk.out).root);
  EXPECT_EQ(at.column, (shape.heads.query + shape.heads.kv) * shape.heads.dim);
  const auto& gate = std::get<FusedMatMul>(fused.nodes[6].op);
  const auto& up = std::get<FusedMatMul>(fused.nodes[7].op);
  EXPECT_EQ(gate.epilogue, Epilogue::none);
  EXPECT_EQ(up.epilogue, Epilogue::gate);
  EXPECT_EQ(slice_of(fused.values, up.out).root, slice_of(fused.values, gate.out).root);
}

// 16777215 heads of 256: each projection's rows fit 32 bits, their sum does not.
TEST(Fuse, JoinedRowsOver32BitsAreRefused) {
  LlamaShape shape;
  shape.layers = 1;
  shape.heads.query = shape.heads.kv = 16777215;
  shape.heads.dim = shape.heads.rotated = 256;
  const auto fused = fuse(llama_graph(shape));
  ASSERT_FALSE(fused);
  EXPECT_EQ(fused.error().message, "queries, keys and values of a token are 12884901120 numbers, more than 1073741824");
}

// ---- Graphs of one rule each

class FuseRules : public testing::Test {
 protected:
  static constexpr u32 width = 16, head = 8;

  FuseRules() { restart(); }
  void restart() {
    g_ = {};
    x_ = g_.embed(matrix(32, width));
    rope_ = g_.rope_table({.frequency = std::vector<double>(head / 2, 0.5)});
    other_rope_ = g_.rope_table({.frequency = std::vector<double>(head / 2, 0.25)});
  }
  WeightId matrix(u32 rows, u32 cols, std::string_view format = "F32") {
    return g_.weight("w" + std::to_string(g_.graph().weights.size()), formats::find(format), rows, cols);
  }
  WeightId vector(u32 cols) { return matrix(1, cols); }
  ValueId project(ValueId x, u32 rows = width, std::string_view format = "F32") {
    return g_.matmul(x, matrix(rows, g_.width(x), format));
  }
  ValueId norm(ValueId x) { return g_.rms_norm(x, vector(g_.width(x)), 1e-5f); }
  ValueId head_norm(ValueId x, float eps = 1e-5f) { return g_.rms_norm(x, vector(head), eps); }
  ValueId rope(ValueId x) { return g_.rope(x, rope_, head); }

  StateId store(ValueId k, ValueId v) {
    const StateId state = g_.state(KvState{.heads = g_.width(k) / head, .key_width = head, .value_width = head});
    g_.store_kv(state, k, v);
    return state;
  }
  ValueId attend(StateId state, ValueId q) {
    return g_.attention({.state = state, .q = q, .heads = g_.width(q) / head, .scale = 1});
  }
  ValueId attend(ValueId q, ValueId k, ValueId v) { return attend(store(k, v), q); }

  // What becomes of the graph that ends in a product of `last`.
  FusedGraph fused(ValueId last) {
    graph_ = g_.finish(last, project(last));
    return checked_fuse(graph_);
  }
  template <class Op>
  u32 count(const FusedGraph& fused) {
    return u32(all<Op>(fused).size());
  }
  u32 with(const FusedGraph& fused, Epilogue epilogue) {
    const auto products = all<FusedMatMul>(fused);
    return u32(std::count_if(products.begin(), products.end(), [&](auto* p) { return p->epilogue == epilogue; }));
  }
  u32 with_norm(const FusedGraph& fused) {
    const auto products = all<FusedMatMul>(fused);
    return u32(std::count_if(products.begin(), products.end(), [](auto* p) { return p->norm != WeightId::none; }));
  }

  Builder g_;
  Graph graph_;
  ValueId x_;
  RopeId rope_, other_rope_;
};

TEST_F(FuseRules, ANormFoldsOnlyWhenNothingButProductsReadsIt) {
  const ValueId read_by_map = norm(x_), read_by_products = norm(x_);
  const ValueId a = g_.map(Function::silu, read_by_map);
  const FusedGraph f = fused(g_.map(Function::multiply, g_.map(Function::multiply, a, project(read_by_map)),
                                    g_.map(Function::multiply, project(read_by_products), project(read_by_products))));
  EXPECT_EQ(count<Norm>(f), 1u);
  EXPECT_EQ(with_norm(f), 2u);
}

TEST_F(FuseRules, NormsOfOtherKindsStay) {
  const ValueId last[] = {
      g_.norm({.kind = Norm::Kind::layer, .x = x_, .weight = vector(width), .group = width}),
      g_.norm({.x = x_, .weight = vector(width), .bias = vector(width), .group = width}),
      g_.norm({.x = x_, .weight = vector(width), .group = width, .scale = 0.5f}),
      g_.norm({.x = x_, .group = width}),
      g_.norm({.x = x_, .weight = vector(head), .group = head}),
  };
  ValueId sum = project(last[0]);
  for (u32 i = 1; i < std::size(last); ++i) sum = g_.map(Function::multiply, sum, project(last[i]));
  const FusedGraph f = fused(sum);
  EXPECT_EQ(count<Norm>(f), std::size(last));
  EXPECT_EQ(with_norm(f), 0u);
}

TEST_F(FuseRules, TheOutputIsNoFoldedNorm) {
  const ValueId hidden = norm(project(x_));
  graph_ = without_logits(g_.finish(hidden, project(hidden)));
  const FusedGraph f = checked_fuse(graph_);
  EXPECT_EQ(count<Norm>(f), 1u);
  EXPECT_EQ(count<FusedMatMul>(f), 1u);
}

TEST_F(FuseRules, AttentionOfEveryShapeThatItCanJoin) {
  ValueId x = x_;
  for (const bool normed : {false, true}) {
    const ValueId n = norm(x);
    const ValueId q = project(n, 4 * head), k = project(n, 2 * head), v = project(n, 2 * head);
    const ValueId a = attend(rope(normed ? head_norm(q) : q), rope(normed ? head_norm(k) : k), v);
    x = g_.add(x, project(a));
  }
  const ValueId n = norm(x);  // a layer without rotation
  x = g_.add(x, project(attend(project(n, 4 * head), project(n, 2 * head), project(n, 2 * head))));
  const FusedGraph f = fused(x);
  EXPECT_EQ(count<RotateStore>(f), 3u);
  EXPECT_EQ(all<RotateStore>(f)[2]->table, RopeId::none);
  EXPECT_EQ(count<StoreKv>(f) + count<Rope>(f) + count<Norm>(f), 0u);
}

TEST_F(FuseRules, AttentionTakesThePlaceOfQueriesThatNobodyReadsLater) {
  const ValueId q = rope(project(x_, head)), read_later = rope(project(x_, head));
  const ValueId a = attend(q, project(x_, head), project(x_, head)),
                b = attend(read_later, project(x_, head), project(x_, head));
  const FusedGraph f = fused(g_.map(Function::multiply, g_.map(Function::multiply, a, b), read_later));
  EXPECT_EQ(count<RotateStore>(f), 0u);
  EXPECT_EQ(slice_of(f.values, a).root, slice_of(f.values, q).root);
  EXPECT_EQ(slice_of(f.values, b).root, b);
}

// Each leaves plain operations, on which any back end goes on.
TEST_F(FuseRules, AttentionThatStaysPlain) {
  const auto p = [&](u32 rows = head) { return project(x_, rows); };
  ValueId last[11] = {
      attend(rope(p()), p(), p()),                                                      // of q alone
      attend(rope(p()), g_.rope(p(), other_rope_, head), p()),                          // by two tables
      attend(rope(p()), rope(p()), rope(p())),                                          // values are rotated
      attend(rope(p()), rope(p()), head_norm(p())),                                     // values are normed
      attend(rope(head_norm(p(), 1e-5f)), rope(head_norm(p(), 1e-6f)), p()),            // two eps
      attend(rope(g_.rms_norm(p(2 * head), vector(2 * head), 1e-5f)), rope(p()), p()),  // one norm over all heads
      attend(head_norm(rope(p())), rope(p()), p()),                                     // a norm behind the rotation
      attend(rope(g_.map(Function::silu, p())), rope(p()), p()),                        // q is no product
  };
  const ValueId k = p(), shared = rope(p());
  last[8] = attend(rope(p()), rope(k), k);  // the values are the keys before their rotation
  last[9] = attend(shared, rope(p()), p());
  last[10] = g_.map(Function::silu, shared);  // q is read by another
  ValueId sum = last[0];
  for (u32 i = 1; i < std::size(last); ++i) {
    sum = g_.map(Function::multiply, sum, g_.columns(last[i], 0, head));
  }
  const FusedGraph f = fused(sum);
  EXPECT_EQ(count<RotateStore>(f), 0u);
  EXPECT_EQ(count<StoreKv>(f), 10u);
}

TEST_F(FuseRules, KeysThatHoldTheValuesAndWidthsThatDiffer) {
  const StateId both =
      g_.state(KvState{.heads = 1, .key_width = head, .value_width = head / 2, .values_in_keys = true});
  g_.store_kv(both, rope(project(x_, head)), ValueId::none);
  const ValueId a = attend(both, rope(project(x_, head)));
  const StateId narrow = g_.state(KvState{.heads = 1, .key_width = head, .value_width = 2 * head});
  g_.store_kv(narrow, rope(project(x_, head)), project(x_, 2 * head));
  const ValueId b = attend(narrow, rope(project(x_, head)));
  const FusedGraph f = fused(g_.join_columns(a, head / 2, b, 2 * head));
  EXPECT_EQ(count<RotateStore>(f), 0u);
  EXPECT_EQ(count<StoreKv>(f), 2u);
}

// A later layer that reads the same state: the first is joined, the later has queries of its own.
TEST_F(FuseRules, ASharedState) {
  const StateId state = store(rope(project(x_, head)), project(x_, head));
  const ValueId first = attend(state, rope(project(x_, head)));
  const ValueId second = attend(state, rope(project(first, head)));
  const FusedGraph f = fused(second);
  EXPECT_EQ(count<RotateStore>(f), 1u);
  EXPECT_EQ(count<Attention>(f), 2u);
  EXPECT_EQ(count<Rope>(f), 1u);
}

TEST_F(FuseRules, Gates) {
  for (const Function function : {Function::silu_gate, Function::gelu_gate, Function::gelu_tanh_gate,
                                  Function::relu_squared_gate, Function::sigmoid_gate}) {
    x_ = g_.map(function, project(x_), project(x_));
  }
  x_ = g_.map(Function::clamped_gate, project(x_), project(x_), {1.7f, 7});  // its parameters have no place
  const FusedGraph f = fused(x_);
  EXPECT_EQ(with(f, Epilogue::gated), 5u);
  EXPECT_EQ(count<Map>(f), 1u);
  EXPECT_EQ(all<FusedMatMul>(f)[4]->gate, Function::sigmoid_gate);
}

TEST_F(FuseRules, GatesOfTwoProductsAndOfOthers) {
  const ValueId biased = g_.matmul(x_, matrix(width, width), vector(width));
  const ValueId a = g_.map(Function::silu_gate, biased, project(x_));                   // a bias
  const ValueId b = g_.map(Function::silu_gate, project(a), project(x_));               // two inputs
  const ValueId c = g_.map(Function::silu_gate, project(b), project(b, width, "F16"));  // two formats
  const ValueId d = g_.map(Function::sigmoid_gate, g_.map(Function::silu, c), project(c));
  const ValueId e = g_.map(Function::silu_gate, project(d), g_.map(Function::silu, d));  // no product to the right
  const ValueId n = project(e);
  const ValueId f = g_.map(Function::silu_gate, n, project(n));  // reads what it would write
  const ValueId twice = project(f);
  const FusedGraph result = fused(g_.map(Function::silu_gate, twice, twice));
  EXPECT_EQ(with(result, Epilogue::gate), 4u);
  EXPECT_EQ(with(result, Epilogue::gated), 0u);
  EXPECT_EQ(count<Map>(result), 2u + 3);
}

TEST_F(FuseRules, SumsInPlace) {
  const ValueId a = g_.add(x_, project(x_));            // the product reads the stream: two bindings of one memory
  const ValueId b = g_.add(project(norm(norm(a))), a);  // the same behind a norm that does not fold
  const ValueId kept = g_.add(b, project(norm(norm(b))));
  const ValueId c = g_.add(kept, project(norm(norm(b))));  // b is read after the first of the two
  const FusedGraph f = fused(c);
  EXPECT_EQ(with(f, Epilogue::add), 2u);
  EXPECT_EQ(count<Map>(f), 2u);
}

// What stands before a value is overwritten must not move behind that.
TEST_F(FuseRules, SumsOfWhatReadsAStreamThatIsOverwritten) {
  const ValueId y = g_.map(Function::silu, x_), z = g_.map(Function::gelu, x_);
  const ValueId product = project(norm(x_));
  const ValueId normed = g_.norm({.kind = Norm::Kind::layer, .x = x_, .group = width});
  const ValueId x = g_.add(x_, project(g_.map(Function::sigmoid, x_)));
  const ValueId a = g_.add(y, product), b = g_.add(z, normed);
  const FusedGraph f = fused(g_.map(Function::multiply, x, g_.map(Function::multiply, a, b)));
  EXPECT_EQ(with(f, Epilogue::add), 1u);
  EXPECT_EQ(count<NormAdd>(f), 0u);
}

// x + attention(n) + feed_forward(n): an RMS norm that folds is read where its products stand.
TEST_F(FuseRules, ParallelFeedForward) {
  for (const bool in_turn : {false, true}) {
    for (const bool folds : {false, true}) {
      restart();
      const ValueId x = project(x_);
      const ValueId n = folds ? norm(x) : g_.norm({.kind = Norm::Kind::layer, .x = x, .group = width});
      const ValueId a = project(attend(rope(project(n, head)), rope(project(n, head)), project(n, head)));
      const ValueId first = in_turn ? g_.add(x, a) : ValueId::none;
      const ValueId m = project(g_.map(Function::gelu, project(n)));
      const FusedGraph f = fused(g_.add(in_turn ? first : g_.add(x, a), m));
      EXPECT_EQ(with(f, Epilogue::add), in_turn && folds ? 1u : 2u);
    }
  }
}

// Gemma 3: norms before and behind both halves of a layer. Nine dispatches, attention being two.
TEST_F(FuseRules, NormsBehindTheHalvesOfALayer) {
  const ValueId n = norm(x_);
  const ValueId q = rope(head_norm(project(n, 2 * head))), k = rope(head_norm(project(n, head)));
  const ValueId a = attend(q, k, project(n, head));
  const ValueId x = g_.add(x_, norm(project(a)));
  const ValueId m = norm(x);
  const ValueId hidden = g_.map(Function::gelu_tanh_gate, project(m, 32), project(m, 32));
  const FusedGraph f = fused(g_.add(x, norm(project(hidden))));
  EXPECT_EQ(count<NormAdd>(f), 2u);
  EXPECT_EQ(f.nodes.size(), 1u + 8 + 1);
}

TEST_F(FuseRules, ExpertsStay) {
  const ValueId n = norm(x_);
  const auto routed = g_.route({.logits = project(n, 4), .used = 2});
  const auto experts = [&](ValueId x, u32 rows, u32 cols) {
    return g_.matmul_chosen(x, matrix(4 * rows, cols), WeightId::none, routed.chosen, 2, rows);
  };
  const ValueId hidden = g_.map(Function::silu_gate, experts(n, 24, width), experts(n, 24, width));
  const ValueId sum = g_.weighted_sum(experts(hidden, width, 24), routed.weights);
  const FusedGraph f = fused(g_.add(x_, sum));
  EXPECT_EQ(count<MatMul>(f), 3u);
  EXPECT_EQ(count<Norm>(f), 1u);
  EXPECT_EQ(count<Map>(f), 2u);
}

// ---- Graphs of no architecture

class RandomGraph {
 public:
  explicit RandomGraph(u32 seed) : random_(seed) {}

  Graph build() {
    rope_ = g_.rope_table({.frequency = std::vector<double>(head / 2, 0.5)});
    values_.push_back(g_.embed(matrix(32, width)));
    const u32 blocks = 2 + below(6);
    for (u32 i = 0; i < blocks; ++i) block();
    const ValueId hidden = below(2) ? norm(some()) : some();
    return below(4) ? g_.finish(hidden, project(hidden, 40)) : without_logits(g_.finish(hidden, project(hidden, 40)));
  }

 private:
  static constexpr u32 width = 32, head = 8;

  u32 below(u32 n) { return u32(random_() % n); }
  // The newest value, mostly: streams go on from there.
  ValueId some() { return values_[below(3) ? values_.size() - 1 : below(u32(values_.size()))]; }
  WeightId matrix(u32 rows, u32 cols) { return g_.weight("w", formats::find(below(5) ? "F16" : "F32"), rows, cols); }
  WeightId vector(u32 cols) { return g_.weight("v", formats::find("F32"), 1, cols); }
  ValueId project(ValueId x, u32 rows) {
    return g_.matmul(x, matrix(rows, g_.width(x)), below(4) ? WeightId::none : vector(rows));
  }
  ValueId norm(ValueId x) {
    if (below(4) == 0) return g_.norm({.kind = Norm::Kind::layer, .x = x, .group = g_.width(x)});
    return g_.rms_norm(x, vector(g_.width(x)), 1e-5f);
  }

  ValueId rotated(ValueId x) {
    if (below(3) == 0) x = g_.rms_norm(x, vector(head), 1e-5f);
    return below(6) ? g_.rope(x, rope_, head) : x;
  }

  ValueId attention(ValueId n) {
    if (!states_.empty() && below(5) == 0) return attend(states_[below(u32(states_.size()))], n);
    const StateId state = g_.state(KvState{.heads = 2, .key_width = head, .value_width = head});
    states_.push_back(state);
    const bool early = below(2);
    const ValueId q = early ? rotated(project(n, 4 * head)) : ValueId::none;
    const ValueId k = rotated(project(n, 2 * head));
    g_.store_kv(state, k, below(6) ? project(n, 2 * head) : k);
    return g_.attention({.state = state, .q = early ? q : rotated(project(n, 4 * head)), .heads = 4, .scale = 1});
  }
  ValueId attend(StateId state, ValueId n) {
    return g_.attention({.state = state, .q = rotated(project(n, 4 * head)), .heads = 4, .scale = 1});
  }

  ValueId feed_forward(ValueId n) {
    if (below(3) == 0) return g_.map(Function::gelu, project(n, 48));
    const ValueId other = below(5) ? n : some();
    const ValueId gate = project(n, 48), up = project(other, 48);
    if (below(6) == 0) values_.push_back(project(g_.columns(gate, 8, 16), width));  // looks into a gate
    return g_.map(below(2) ? Function::silu_gate : Function::sigmoid_gate, gate, up);
  }

  ValueId branch(ValueId n) {
    const ValueId inner = below(2) ? attention(n) : feed_forward(n);
    const ValueId out = project(inner, width);
    return below(4) ? out : norm(out);
  }

  void block() {
    const ValueId x = some();
    const ValueId n = below(5) ? norm(x) : x;
    if (below(3) == 0) {  // in parallel, summed at the end or on the way
      const ValueId a = branch(n);
      const ValueId early = below(2) ? g_.add(x, a) : ValueId::none;
      const ValueId b = branch(below(2) ? n : norm(x));
      values_.push_back(g_.add(early == ValueId::none ? g_.add(x, a) : early, b));
    } else {
      const ValueId b = branch(n);
      values_.push_back(below(2) ? g_.add(x, b) : g_.add(b, below(6) ? x : some()));
    }
    if (below(8) == 0) values_.push_back(g_.map(Function::multiply, some(), g_.columns(some(), 8, 16)));
  }

  std::mt19937 random_;
  Builder g_;
  RopeId rope_ = RopeId::none;
  std::vector<ValueId> values_;  // as wide as the stream
  std::vector<StateId> states_;
};

TEST(FuseRandom, NothingIsLostReadTooEarlyOrTooLate) {
  std::map<std::size_t, u32> fused_ops;
  u32 in_place = 0;
  for (u32 seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const FusedGraph fused = checked_fuse(RandomGraph(seed).build());
    for (const FusedNode& node : fused.nodes) ++fused_ops[node.op.index()];
    for (const auto* product : all<FusedMatMul>(fused)) in_place += product->epilogue == Epilogue::add;
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(fused_ops[FusedOp(RotateStore{}).index()], 500u);
  EXPECT_GT(fused_ops[FusedOp(NormAdd{}).index()], 500u);
  EXPECT_GT(in_place, 1000u);
}

}  // namespace
}  // namespace pronk::graph
