// Llama-like graphs of any shape with seeded random weights, for tests of whatever works on graphs.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "formats/format.h"
#include "graph/graph.h"

namespace pronk::test {

// Of attention, all layers alike.
struct Heads {
  u32 query = 0, kv = 0;  // heads
  u32 dim = 0;
  u32 rotated = 0;  // leading columns of a head
  graph::RopePairs pairs = graph::RopePairs::adjacent;
  float scale = 0;
};

struct LlamaShape {
  u32 layers = 2;
  u32 width = 32;
  u32 feed_forward = 64;
  u32 vocab = 48;
  Heads heads{.query = 4, .kv = 2, .dim = 8, .rotated = 8, .pairs = graph::RopePairs::adjacent, .scale = 0.35f};
  float eps = 1e-5f;
  bool bias = false;                // on q, k, v
  bool head_norm = false;           // RMS norm of each q and k head
  bool tied = true;                 // output matrix = embedding
  bool factors = false;             // rope_freqs.weight
  std::string_view matrix = "F32";  // format of matrices
  std::string_view v = {};          // of v's matrix when it differs
  std::string_view up = {};         // of up's matrix when it differs
  std::string_view vector = "F32";  // of norms, biases, divisors
};

class LlamaGraph {
 public:
  explicit LlamaGraph(const LlamaShape& shape) : s_(shape) {}

  graph::Graph build() {
    rope_ = g_.rope_table(rope_table());
    const auto table = matrix("token_embd.weight", s_.vocab, s_.width);
    auto x = g_.embed(table);
    for (u32 il = 0; il < s_.layers; ++il) x = layer(il, x);
    const auto output = s_.tied ? table : matrix("output.weight", s_.vocab, s_.width);
    const auto hidden = norm(x, "output_norm.weight", s_.width);
    return g_.finish(hidden, g_.matmul(hidden, output));
  }

 private:
  graph::RopeTable rope_table() {
    graph::RopeTable table{.pairs = s_.heads.pairs};
    for (u32 i = 0; i < s_.heads.rotated / 2; ++i) {
      table.frequency.push_back(std::pow(10000.0, -2.0 * i / s_.heads.rotated));
    }
    table.magnitude = 1.125;
    if (s_.factors) table.factors = vector("rope_freqs.weight", s_.heads.rotated / 2);
    return table;
  }

  graph::ValueId layer(u32 il, graph::ValueId x) {
    const std::string blk = "blk." + std::to_string(il) + ".";
    const u32 q_width = s_.heads.query * s_.heads.dim, kv_width = s_.heads.kv * s_.heads.dim;
    const auto bias = [&](std::string name, u32 cols) {
      return s_.bias ? vector(blk + name, cols) : graph::WeightId::none;
    };
    const auto n = norm(x, blk + "attn_norm.weight", s_.width);
    auto q = g_.matmul(n, matrix(blk + "attn_q.weight", q_width, s_.width), bias("attn_q.bias", q_width));
    auto k = g_.matmul(n, matrix(blk + "attn_k.weight", kv_width, s_.width), bias("attn_k.bias", kv_width));
    const auto v = g_.matmul(n, matrix(blk + "attn_v.weight", kv_width, s_.width, s_.v), bias("attn_v.bias", kv_width));
    if (s_.head_norm) {
      q = norm(q, blk + "attn_q_norm.weight", s_.heads.dim);
      k = norm(k, blk + "attn_k_norm.weight", s_.heads.dim);
    }
    const auto state =
        g_.state(graph::KvState{.heads = s_.heads.kv, .key_width = s_.heads.dim, .value_width = s_.heads.dim});
    q = g_.rope(q, rope_, s_.heads.dim);
    g_.store_kv(state, g_.rope(k, rope_, s_.heads.dim), v);
    const auto a = g_.attention({.state = state, .q = q, .heads = s_.heads.query, .scale = s_.heads.scale});
    x = g_.add(x, g_.matmul(a, matrix(blk + "attn_output.weight", s_.width, q_width)));
    const auto m = norm(x, blk + "ffn_norm.weight", s_.width);
    const auto gate = g_.matmul(m, matrix(blk + "ffn_gate.weight", s_.feed_forward, s_.width));
    const auto up = g_.matmul(m, matrix(blk + "ffn_up.weight", s_.feed_forward, s_.width, s_.up));
    const auto down = matrix(blk + "ffn_down.weight", s_.width, s_.feed_forward);
    return g_.add(x, g_.matmul(g_.map(graph::Function::silu_gate, gate, up), down));
  }

  graph::ValueId norm(graph::ValueId x, const std::string& name, u32 cols) {
    return g_.rms_norm(x, vector(name, cols), s_.eps);
  }
  graph::WeightId matrix(const std::string& name, u32 rows, u32 cols, std::string_view format = {}) {
    return g_.weight(name, formats::find(format.empty() ? s_.matrix : format), rows, cols);
  }
  graph::WeightId vector(const std::string& name, u32 cols) {
    return g_.weight(name, formats::find(s_.vector), 1, cols);
  }

  const LlamaShape& s_;
  graph::Builder g_;
  graph::RopeId rope_ = graph::RopeId::none;
};

inline graph::Graph llama_graph(const LlamaShape& shape) { return LlamaGraph(shape).build(); }

// Bytes of each weight of a graph as a file would hold them: matrices of variance 1 / cols, biases around 0,
// other vectors around 1.
struct RandomWeights {
  std::vector<std::vector<u8>> bytes;

  RandomWeights(const graph::Graph& graph, u32 seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (const graph::Weight& weight : graph.weights) {
      const bool bias = weight.name.ends_with(".bias"), vector = weight.rows == 1 && !bias;
      const float spread = weight.rows == 1 ? 0.25f : 1 / std::sqrt(float(weight.cols));
      std::vector<float> values(u64(weight.rows) * weight.cols);
      for (float& value : values) value = (vector ? 1.0f : 0.0f) + spread * normal(random);
      const u64 blocks = values.size() / weight.format->block_weights;
      bytes.emplace_back(blocks * weight.format->block_bytes);
      weight.format->encode(values.data(), blocks, bytes.back().data());
    }
  }

  std::vector<const u8*> pointers() const {
    std::vector<const u8*> result;
    for (const auto& weight : bytes) result.push_back(weight.data());
    return result;
  }
};

}  // namespace pronk::test
