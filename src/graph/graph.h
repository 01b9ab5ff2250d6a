// What a model computes, with no device in sight: values, weights and operations in order of execution.
// A model builds plain operations; fuse() rewrites them into what kernels run, and each fused operation keeps the
// plain operations it stands for.
#pragma once

#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/check.h"
#include "base/result.h"
#include "base/types.h"
#include "formats/format.h"

namespace pronk::graph {

enum class ValueId : u32 { none = ~0u };
enum class WeightId : u32 { none = ~0u };

// An activation: one row of `width` floats for each token in the step.
// A slice is a range of columns of another value, its parent, and has no memory of its own.
struct Value {
  u32 width = 0;
  ValueId parent = ValueId::none;
  u32 column = 0;  // first column within the parent
};

// A tensor of the file as operations see it: row-major [rows, cols]; a vector has one row.
struct Weight {
  std::string name;  // as in the file
  const formats::Format* format = nullptr;
  u32 rows = 0;
  u32 cols = 0;
};

enum class RopePairs : u8 { adjacent, halves };  // rotate (2i, 2i+1), or (i, i + n/2)

// Attention geometry, the same in every layer.
struct Heads {
  u32 query = 0;    // query heads
  u32 kv = 0;       // key/value heads; each serves query/kv query heads
  u32 dim = 0;      // floats a head
  u32 rotated = 0;  // leading floats of a head that RoPE rotates, even
  RopePairs pairs = RopePairs::adjacent;
  float scale = 0;  // multiplies q·k
};

// RoPE rotates pair i of a head at position p by the angle p · frequency[i] / factors[i] and scales it by magnitude.
struct Rotation {
  std::vector<double> frequency;      // radians a position, rotated/2 of them, context scaling included
  double magnitude = 1;               // YaRN's attention factor (arXiv 2309.00071)
  WeightId factors = WeightId::none;  // vector of rotated/2 divisors in the file (`rope_freqs.weight`), or none
};

// out[t] = table[token[t]]
struct Embed {
  WeightId table;
  ValueId out;
};
// Each group of weight.cols columns on its own: out = x / sqrt(mean(x²) + eps) · weight (arXiv 1910.07467)
struct RmsNorm {
  ValueId x;
  WeightId weight;
  float eps;
  ValueId out;
};
// out[t, n] = Σ_k weight[n, k] x[t, k] + bias[n]
struct MatMul {
  ValueId x;
  WeightId weight, bias;  // bias may be none
  ValueId out;
};
// Rotary position embedding of each head by the token's position (arXiv 2104.09864)
struct Rope {
  ValueId x;
  ValueId out;
};
// Appends k and v of each token to the layer's cache at the token's position
struct StoreKv {
  u32 layer;
  ValueId k, v;
};
// Causal softmax(scale · q kᵀ) v over the layer's cache, grouped heads (arXiv 2305.13245)
struct Attention {
  u32 layer;
  ValueId q, out;
};
struct Add {
  ValueId a, b, out;
};
// silu(gate) · up (arXiv 2002.05202)
struct SwiGlu {
  ValueId gate, up, out;
};

using PlainOp = std::variant<Embed, RmsNorm, MatMul, Rope, StoreKv, Attention, Add, SwiGlu>;

// Calls read(id) for each value that an operation reads and write(id) for each that it makes: the one list of operands.
template <class Read, class Write>
void for_each_operand(const PlainOp& op, const Read& read, const Write& write) {
  std::visit(
      [&]<class Op>(const Op& o) {
        if constexpr (std::is_same_v<Op, Embed>) {
          write(o.out);
        } else if constexpr (std::is_same_v<Op, RmsNorm> || std::is_same_v<Op, MatMul> || std::is_same_v<Op, Rope>) {
          read(o.x), write(o.out);
        } else if constexpr (std::is_same_v<Op, StoreKv>) {
          read(o.k), read(o.v);
        } else if constexpr (std::is_same_v<Op, Attention>) {
          read(o.q), write(o.out);
        } else if constexpr (std::is_same_v<Op, Add>) {
          read(o.a), read(o.b), write(o.out);
        } else {
          static_assert(std::is_same_v<Op, SwiGlu>, "a new operation's operands belong in this list");
          read(o.gate), read(o.up), write(o.out);
        }
      },
      op);
}

enum class Epilogue : u8 {
  none,    // out = y
  add,     // out += y                 (out holds the residual)
  gate,    // out = silu(out) · y      (out holds the gate)
  swiglu,  // out = silu(y of part 0) · y of part 1
};

// out = epilogue(concat_i(part_i · norm(x) + bias_i)); all parts have one format and one width.
struct FusedMatMul {
  struct Part {
    WeightId weight, bias;
  };
  ValueId x;
  WeightId norm = WeightId::none;  // RMS norm weight applied to x, or none
  float eps = 0;
  std::vector<Part> parts;
  Epilogue epilogue = Epilogue::none;
  ValueId out;
};

// On one value [q heads | k heads | v heads], in place: optional RMS norm of each q and k head, RoPE of q and k,
// k and v appended to the cache.
struct RotateStore {
  u32 layer;
  ValueId qkv;
  WeightId q_norm = WeightId::none, k_norm = WeightId::none;
  float eps = 0;
};

using FusedOp = std::variant<Embed, FusedMatMul, RotateStore, Attention>;

struct Graph {
  std::vector<Value> values;
  std::vector<Weight> weights;
  Heads heads;
  Rotation rotation;
  u32 layers = 0;
  std::vector<PlainOp> ops;
  ValueId logits = ValueId::none;

  const Value& operator[](ValueId id) const { return values[u32(id)]; }
  const Weight& operator[](WeightId id) const { return weights[u32(id)]; }
};

struct FusedNode {
  FusedOp op;
  std::vector<PlainOp> plain;  // what it stands for, in order
};

struct FusedGraph {
  std::vector<Value> values;  // those of the plain graph, some now slices, and the joined ones
  std::vector<FusedNode> nodes;
};

// The value that has the memory an id lives in, and the column at which the id starts there.
struct Slice {
  ValueId root;
  u32 column = 0;
};
Slice slice_of(const std::vector<Value>& values, ValueId id);

// Groups matmuls that share their input and format, folds norms into the matmuls that read them, residual adds and
// SwiGLU into the matmuls that write them, and head norms, RoPE and the KV write into one in-place operation.
// Operations that have no fused form are an error that names them.
Result<FusedGraph> fuse(const Graph& graph);

// Most floats in a row of a value: 4 GiB, more than any device binds.
constexpr u64 max_width = u64{1} << 30;

// Floats a row of a value takes in memory: padded to whole units of eight, the padding kept at zero.
constexpr u32 row_stride(u32 width) { return u32(align_up(width, 8)); }

// Helps model code to build a graph in the order of the paper.
class Builder {
 public:
  Builder(Heads heads, u32 layers) {
    graph_.heads = heads;
    graph_.layers = layers;
  }

  void rotate_by(Rotation rotation) { graph_.rotation = std::move(rotation); }

  WeightId weight(std::string name, const formats::Format* format, u32 rows, u32 cols) {
    graph_.weights.push_back({std::move(name), format, rows, cols});
    return WeightId(graph_.weights.size() - 1);
  }

  ValueId embed(WeightId table) { return emit<Embed>(graph_[table].cols, {table, {}}); }
  ValueId rms_norm(ValueId x, WeightId weight, float eps) {
    return emit<RmsNorm>(graph_[x].width, {x, weight, eps, {}});
  }
  ValueId matmul(ValueId x, WeightId weight, WeightId bias = WeightId::none) {
    CHECK(graph_[x].width == graph_[weight].cols);
    return emit<MatMul>(graph_[weight].rows, {x, weight, bias, {}});
  }
  ValueId rope(ValueId x) { return emit<Rope>(graph_[x].width, {x, {}}); }
  ValueId attention(ValueId q, ValueId k, ValueId v, u32 layer) {
    graph_.ops.push_back(StoreKv{layer, k, v});
    return emit<Attention>(graph_[q].width, {layer, q, {}});
  }
  ValueId add(ValueId a, ValueId b) { return emit<Add>(graph_[a].width, {a, b, {}}); }
  ValueId swiglu(ValueId gate, ValueId up) { return emit<SwiGlu>(graph_[gate].width, {gate, up, {}}); }

  Graph finish(ValueId logits) {
    graph_.logits = logits;
    return std::move(graph_);
  }

 private:
  template <class Op>
  ValueId emit(u32 width, Op op) {
    graph_.values.push_back({width});
    op.out = ValueId(graph_.values.size() - 1);
    graph_.ops.push_back(op);
    return op.out;
  }

  Graph graph_;
};

}  // namespace pronk::graph
