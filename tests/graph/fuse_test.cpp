// fuse(): what it makes of Llama-like graphs, that nothing gets lost on the way, and what it refuses.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "graph/graph.h"
#include "support/graph_llama.h"

namespace pronk::graph {
namespace {

using test::llama_graph;
using test::LlamaShape;

// Plain operations have no identity of their own: kind and output, or kind and layer, tell them apart.
using Key = std::tuple<std::size_t, u32, u32>;
Key key(const PlainOp& op) {
  return std::visit(
      [&](const auto& o) {
        if constexpr (requires { o.out; })
          return Key{op.index(), 0, u32(o.out)};
        else
          return Key{op.index(), 1, o.layer};
      },
      op);
}

std::vector<ValueId> inputs(const PlainOp& op) {
  std::vector<ValueId> ids;
  std::visit(
      [&](const auto& o) {
        if constexpr (requires { o.x; }) ids = {o.x};
        if constexpr (requires { o.k; }) ids = {o.k, o.v};
        if constexpr (requires { o.q; }) ids = {o.q};
        if constexpr (requires { o.a; }) ids = {o.a, o.b};
        if constexpr (requires { o.gate; }) ids = {o.gate, o.up};
      },
      op);
  return ids;
}

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

// Every plain operation is in some node, only norms in more than one, and running the bodies node by node finds every
// input made before it is read.
void expect_covers(const Graph& graph, const FusedGraph& fused) {
  std::multiset<Key> seen;
  std::set<ValueId> made;
  for (const FusedNode& node : fused.nodes) {
    for (const PlainOp& op : node.plain) {
      for (ValueId id : inputs(op)) EXPECT_TRUE(made.contains(id)) << "value " << u32(id) << " is read too early";
      std::visit(
          [&](const auto& o) {
            if constexpr (requires { o.out; }) made.insert(o.out);
          },
          op);
      seen.insert(key(op));
    }
  }
  for (const PlainOp& op : graph.ops) {
    if (std::holds_alternative<RmsNorm>(op)) {
      EXPECT_GE(seen.count(key(op)), 1u);
    } else {
      EXPECT_EQ(seen.count(key(op)), 1u) << "operation kind " << op.index();
    }
    seen.erase(key(op));
  }
  EXPECT_TRUE(seen.empty());
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
    if (matmul->epilogue == Epilogue::swiglu) rows /= 2;
    EXPECT_EQ(rows, fused.values[u32(matmul->out)].width);
    if (matmul->norm != WeightId::none) EXPECT_EQ(graph[matmul->norm].cols, fused.values[u32(matmul->x)].width);
  }
}

FusedGraph checked_fuse(const Graph& graph) {
  FusedGraph fused = must_fuse(graph);
  expect_covers(graph, fused);
  expect_consistent(graph, fused);
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
    EXPECT_EQ(rotate.layer, il);
    EXPECT_EQ(attention.layer, il);
    EXPECT_EQ(rotate.q_norm, WeightId::none);
    EXPECT_EQ(rotate.k_norm, WeightId::none);
    EXPECT_EQ(slice_of(fused.values, qkv.out).root, slice_of(fused.values, rotate.qkv).root);
    EXPECT_EQ(slice_of(fused.values, attention.out).root, slice_of(fused.values, rotate.qkv).root);
    EXPECT_EQ(slice_of(fused.values, attention.out).column, 0u);
    EXPECT_EQ(output.epilogue, Epilogue::add);
    EXPECT_EQ(output.norm, WeightId::none);
    EXPECT_EQ(gate_up.epilogue, Epilogue::swiglu);
    ASSERT_EQ(gate_up.parts.size(), 2u);
    EXPECT_TRUE(graph[gate_up.parts[0].weight].name.ends_with("ffn_gate.weight"));
    EXPECT_TRUE(graph[gate_up.norm].name.ends_with("ffn_norm.weight"));
    EXPECT_EQ(down.epilogue, Epilogue::add);
  }
  const auto& logits = std::get<FusedMatMul>(fused.nodes.back().op);
  EXPECT_EQ(graph[logits.norm].name, "output_norm.weight");
  EXPECT_EQ(logits.out, graph.logits);
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
  EXPECT_EQ(adds, 2 * graph.layers);
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
    const RotateStore& rotate = *all<RotateStore>(fused)[store->layer];
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

// WebGPU forbids one dispatch to read and to write the same buffer through two bindings.
TEST(Fuse, NoProductReadsTheMemoryItWrites) {
  for (std::string_view v : {"F32", "F16"}) {
    LlamaShape shape;
    shape.v = shape.up = v;
    const FusedGraph fused = must_fuse(llama_graph(shape));
    for (const FusedMatMul* matmul : all<FusedMatMul>(fused)) {
      EXPECT_NE(slice_of(fused.values, matmul->x).root, slice_of(fused.values, matmul->out).root);
    }
  }
}

class FuseErrors : public testing::Test {
 protected:
  FuseErrors() : g_({.query = 1, .kv = 1, .dim = 8, .rotated = 8, .scale = 1}, 1) {
    table_ = matrix(16, 8);
    x_ = g_.embed(table_);
  }
  WeightId matrix(u32 rows, u32 cols) { return g_.weight("w", formats::find("F32"), rows, cols); }
  WeightId vector(u32 cols) { return g_.weight("n", formats::find("F32"), 1, cols); }
  ValueId project(ValueId x, u32 rows = 8) { return g_.matmul(x, matrix(rows, 8)); }
  ValueId norm(ValueId x) { return g_.rms_norm(x, vector(8), 1e-5f); }

  void expect_error(ValueId logits, const std::string& part) {
    const auto fused = fuse(g_.finish(logits));
    ASSERT_FALSE(fused.has_value());
    EXPECT_NE(fused.error().message.find(part), std::string::npos) << fused.error().message;
  }

  Builder g_;
  WeightId table_;
  ValueId x_;
};

TEST_F(FuseErrors, ANormThatNoProductReads) { expect_error(norm(x_), "norm"); }
TEST_F(FuseErrors, SwiGluOfSomethingElse) { expect_error(g_.swiglu(x_, x_), "SwiGLU"); }
TEST_F(FuseErrors, AddOfNoProduct) { expect_error(project(g_.add(x_, norm(x_))), "adds two values"); }
TEST_F(FuseErrors, KeysThatAreNotRotated) {
  expect_error(project(g_.attention(g_.rope(project(x_)), project(x_), project(x_), 0)), "rotate");
}
TEST_F(FuseErrors, ValuesThatAreRotated) {
  expect_error(project(g_.attention(g_.rope(project(x_)), g_.rope(project(x_)), g_.rope(project(x_)), 0)), "rotate");
}
TEST_F(FuseErrors, AttentionOverTheEmbedding) {
  expect_error(project(g_.attention(g_.rope(x_), g_.rope(project(x_)), project(x_), 0)), "projection");
}
TEST_F(FuseErrors, AHeadNormOverAllHeads) {
  Builder g({.query = 2, .kv = 2, .dim = 4, .rotated = 4, .scale = 1}, 1);
  g_ = std::move(g);
  x_ = g_.embed(matrix(16, 8));
  expect_error(project(g_.attention(g_.rope(norm(project(x_))), g_.rope(norm(project(x_))), project(x_), 0)), "norm");
}
TEST_F(FuseErrors, ANormThatIsReadAfterItsInputIsOverwritten) {  // parallel feed-forward
  const ValueId n = norm(x_);
  const ValueId first = g_.add(x_, project(n));
  expect_error(project(g_.add(first, project(n))), "overwritten");
}

}  // namespace
}  // namespace pronk::graph
