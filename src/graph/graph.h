// What a model computes, with no device in sight: values, weights, states and operations in order of execution.
// A model builds plain operations, each of which has a kernel of its own on every back end. fuse() rewrites some of
// them into fewer kernels; each fused operation keeps the plain operations it stands for.
#pragma once

#include <array>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/check.h"
#include "base/enums.h"
#include "base/result.h"
#include "base/types.h"
#include "formats/format.h"
#include "graph/pooling.h"

namespace pronk::graph {

enum class ValueId : u32 { none = ~0u };
enum class WeightId : u32 { none = ~0u };
enum class StateId : u32 { none = ~0u };
enum class RopeId : u32 { none = ~0u };

// An activation: one row of `width` floats for each token in the step.
// A slice is a range of columns of another value, its parent, and has no memory of its own.
struct Value {
  u32 width = 0;
  ValueId parent = ValueId::none;
  u32 column = 0;  // first column within the parent
};

// Rows of a tensor of the file, from first_row on, as operations see them: row-major [rows, cols]; a vector has one
// row, whatever shape it has in the file. Matrices of several experts lie one behind the other.
struct Weight {
  std::string name;  // as in the file
  const formats::Format* format = nullptr;
  u32 rows = 0;
  u32 cols = 0;
  u32 first_row = 0;
  float added = 0;  // of a vector: to each of its numbers
  // Of a matrix in an additive format (formats/additive.h): [books · entries, group], and a number for each row of the
  // tensor. They are weights of their own, made before it.
  WeightId books = WeightId::none, scales = WeightId::none;
};

enum class RopePairs : u8 { adjacent, halves };  // rotate (2i, 2i+1), or (i, i + n/2)

// RoPE rotates pair i of a head at position p by the angle p · frequency[i] / factors[i] and scales it by magnitude
// (arXiv 2104.09864, 2309.00071).
struct RopeTable {
  RopePairs pairs = RopePairs::adjacent;
  std::vector<double> frequency;      // radians a position, one a pair, context scaling included
  double magnitude = 1;               // YaRN's attention factor
  WeightId factors = WeightId::none;  // vector of divisors in the file, one a pair, or none
  // Instead, when the context that is planned for is longer than long_above tokens (arXiv 2402.13753).
  WeightId long_factors = WeightId::none;
  std::vector<double> long_frequency;
  u32 long_above = 0;

  u32 rotated() const { return u32(2 * frequency.size()); }  // columns of a head that are rotated
  WeightId factors_at(u32 context) const {
    return long_factors != WeightId::none && context > long_above ? long_factors : factors;
  }
  const std::vector<double>& frequency_at(u32 context) const {
    return !long_frequency.empty() && context > long_above ? long_frequency : frequency;
  }
  bool operator==(const RopeTable&) const = default;
};

// Keys and values of the positions that attention may still see, by KV head.
struct KvState {
  u32 heads = 0;
  u32 key_width = 0, value_width = 0;  // floats a head
  u32 window = 0;                      // positions that attention sees, its own included; 0: all
  bool values_in_keys = false;         // values are the first value_width floats of keys, which are kept once

  bool operator==(const KvState&) const = default;
};
// What a recurrence carries from token to token: zeros before position 0.
struct RecurrentState {
  u32 floats = 0;
};
using State = std::variant<KvState, RecurrentState>;

// Positions that a KV state has room for: its window and the `slack` positions that are written ahead of what is
// certain, or the whole context.
inline u32 kv_capacity(const KvState& state, u32 context, u32 slack) {
  if (state.window == 0 || u64(state.window) + slack >= context) return context;
  return state.window + slack;
}

// ---- Plain operations. operands() lists values that are read, those that are made, and weights; the list may hold
// none.

// out[t] = table[token of t], or [its position].
struct Embed {
  WeightId table;
  ValueId out;
  bool by_position = false;

  void operands(auto&& /*read*/, auto&& write, auto&& weigh) const { weigh(table), write(out); }
};

// Each group of columns on its own, x₀ = x, or x − mean(x) for layer norm:
// out = scale · x₀ / sqrt(mean(x₀²) + eps) · weight + bias (arXiv 1910.07467, 1607.06450).
// weight, bias: none, one float a column of a group, or one a column of x.
struct Norm {
  enum class Kind : u8 { rms, layer } kind = Kind::rms;
  ValueId x;
  WeightId weight = WeightId::none, bias = WeightId::none;
  u32 group = 0;
  float eps = 0;
  float scale = 1;
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& weigh) const { read(x), weigh(weight), weigh(bias), write(out); }
};

// out[t, n] = Σ_k weight[n, k] x[t, k] + bias[n]. With several slots, each makes its own columns: slot s by the matrix
// chosen[t, s] of weight, or by matrix s when nothing is chosen, from columns of x of its own, or from all of x when it
// has only as many as a matrix.
struct MatMul {
  ValueId x;
  WeightId weight, bias = WeightId::none;  // all matrices one behind the other; bias: one float a row
  ValueId chosen = ValueId::none;          // numbers of matrices, [tokens, slots]
  u32 slots = 1;
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& weigh) const {
    read(x), read(chosen), weigh(weight), weigh(bias), write(out);
  }
};

// Rotates columns [first, first + rotated) of each group of `head` columns by the token's position.
struct Rope {
  ValueId x;
  RopeId table;
  u32 head = 0, first = 0;
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& /*weigh*/) const { read(x), write(out); }
};

// Appends k and v of each token to a KV state at the token's position. v is none where values lie in the keys.
struct StoreKv {
  StateId state;
  ValueId k, v;

  void operands(auto&& read, auto&& /*write*/, auto&& /*weigh*/) const { read(k), read(v); }
};

// softmax(mask(cap(scale · q kᵀ))) v over a KV state, grouped heads (arXiv 2305.13245); cap(s) = soft_cap · tanh(s /
// soft_cap), when it is not 0. A causal query sees itself and what comes before, `window` positions at most when that
// is not 0. Another sees all tokens of the run, those at most `window` / 2 away when that is not 0; the run is one
// step. sinks: a logit for each query head that takes part in the softmax and has no value (arXiv 2309.17453).
struct Attention {
  StateId state;
  ValueId q;
  WeightId sinks = WeightId::none;
  u32 heads = 0;  // query heads, each as wide as a key
  float scale = 0, soft_cap = 0;
  u32 window = 0;
  bool causal = true;
  ValueId out = ValueId::none;  // [tokens, heads · value width]

  void operands(auto&& read, auto&& write, auto&& weigh) const { read(q), weigh(sinks), write(out); }
};

// By columns. σ(x) = 1 / (1 + e^−x); p are the operation's parameters.
PRONK_ENUM(Function, u8, (scale, 0),  // p0 · a + p1
           (clamp, 1),                // a within [p0, p1]
           (soft_cap, 2),             // p0 · tanh(a / p0)
           (silu, 3),                 // a σ(a)
           (gelu, 4),                 // a Φ(a), by erf (arXiv 1606.08415)
           (gelu_tanh, 5),            // the same by its approximation with tanh
           (relu_squared, 6),         // max(a, 0)²
           (sigmoid, 7),              // σ(a)
           (softplus, 8),             // ln(1 + e^a)
           (exponential, 9),          // e^a
           (xielu, 10),               // arXiv 2411.13010: p0 a² + p2 a above 0, else p1 (e^min(a, p3) − 1 − a) + p2 a
           (add, 11),                 // a + b
           (multiply, 12),            // a · b
           (add_scaled, 13),          // a + p0 · b
           (silu_gate, 14),           // silu(a) · b (arXiv 2002.05202)
           (gelu_gate, 15),           // gelu(a) · b
           (gelu_tanh_gate, 16),      // gelu_tanh(a) · b
           (relu_squared_gate, 17),   // max(a, 0)² · b
           (sigmoid_gate, 18),        // a · σ(b)
           (clamped_gate, 19),        // g σ(p0 g) (u + 1), g = min(a, p1), u = b within ± p1 (gpt-oss)
           (learned_xielu, 20));      // xielu by b, as it is trained: p0 = softplus(b1), p1 = b2 + softplus(b0), p2, p3
constexpr bool takes_two(Function function) { return function >= Function::add; }

// out[i] = function(a[i], b[i]). b is a value or a weight; when it is narrower than a, each of its numbers serves as
// many neighbouring columns. Of learned_xielu it is a weight of four numbers for all columns.
struct Map {
  Function function = Function::add;
  ValueId a, b = ValueId::none;
  WeightId weight = WeightId::none;
  std::array<float, 4> p = {};
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& weigh) const { read(a), read(b), weigh(weight), write(out); }
};

// out = x · (1 + scale · ln(1 + floor(position / interval))): attention that stays sharp in long contexts (Ministral
// 3).
struct PositionScale {
  ValueId x;
  float scale = 0;
  u32 interval = 1;
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& /*weigh*/) const { read(x), write(out); }
};

// Columns [first, first + width) of each group of columns.
struct TakeColumns {
  ValueId x;
  u32 group = 0, first = 0, width = 0;
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& /*weigh*/) const { read(x), write(out); }
};
// Groups of a and b in turn: a's first group_a columns, b's first group_b columns, a's next, …
struct JoinColumns {
  ValueId a, b;
  u32 group_a = 0, group_b = 0;
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& /*weigh*/) const { read(a), read(b), write(out); }
};

// Chooses experts for a token by its router's logits, and what each counts for (arXiv 1701.06538, 2412.19437).
constexpr u32 most_experts = 1024;  // that a Route chooses from

struct Route {
  enum class Gating : u8 {
    softmax,        // of all logits
    sigmoid,        // of each
    softmax_after,  // of the logits of those chosen
  } gating = Gating::softmax;
  ValueId logits;
  WeightId bias = WeightId::none;          // added to the scores for the choice, not for the weights
  WeightId expert_scale = WeightId::none;  // multiplies the weight of each expert
  u32 used = 0;                            // experts that are chosen
  u32 groups = 1, groups_used = 1;         // experts come from the best groups
  bool by_best = false;                    // a group is as good as its best score, else as the sum of its two best
  bool normalize = false;                  // weights are divided by their sum
  float scale = 1;                         // multiplies the weights
  ValueId chosen = ValueId::none, weights = ValueId::none;  // [tokens, used], the largest score first

  void operands(auto&& read, auto&& write, auto&& weigh) const {
    read(logits), weigh(bias), weigh(expert_scale), write(chosen), write(weights);
  }
};

// out = Σ_s weights[s] · x's s-th part; x has as many parts as weights has columns.
struct WeightedSum {
  ValueId x, weights;
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& /*weigh*/) const { read(x), read(weights), write(out); }
};

// out = max(0, x − mean(x) − deviations · sqrt(mean((x − mean(x))²))): keeps the largest of a row (Gemma 3n).
struct KeepLargest {
  ValueId x;
  float deviations = 0;
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& /*weigh*/) const { read(x), write(out); }
};

// Causal convolution of each column over tokens: out[t, c] = bias[c] + Σ_j weight[c, j] x[t − kernel + 1 + j, c].
// The state holds the last kernel − 1 rows of x, oldest first.
struct Conv1d {
  StateId state;
  ValueId x;
  WeightId weight, bias = WeightId::none;  // [columns, kernel]
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& weigh) const { read(x), weigh(weight), weigh(bias), write(out); }
};

// Gated delta rule (arXiv 2412.06464). For each value head, S [key width, value width], one token after the other:
// S ← e^decay S;  S ← S + k ⊗ beta (v − Sᵀk);  out = Sᵀq. The state is [value head][key width][value width].
struct DeltaRule {
  StateId state;
  ValueId q, k, v;      // [key heads · key width] twice, [value heads · value width]
  ValueId decay, beta;  // [value heads]
  u32 key_heads = 0, value_heads = 0;
  bool neighbours_share = false;  // value head j uses key head j / (value heads / key heads), else j mod key heads
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& /*weigh*/) const {
    read(q), read(k), read(v), read(decay), read(beta), write(out);
  }
};

// Selective state space (arXiv 2312.00752, 2405.21060). For each head, S [width, state], one token after the other:
// S ← e^(dt · a) S + dt · x ⊗ b;  out = S c. Neighbouring heads share a group of b and c. The state is
// [head][width][state].
struct Scan {
  StateId state;
  ValueId x, dt;  // [heads · width], [heads]
  ValueId b, c;   // [groups · state]
  WeightId a;     // [heads] or [heads, state]
  u32 heads = 0, groups = 1;
  ValueId out = ValueId::none;

  void operands(auto&& read, auto&& write, auto&& weigh) const {
    read(x), read(dt), read(b), read(c), weigh(a), write(out);
  }
};

using PlainOp = std::variant<Embed, Norm, MatMul, Rope, StoreKv, Attention, Map, PositionScale, TakeColumns,
                             JoinColumns, Route, WeightedSum, KeepLargest, Conv1d, DeltaRule, Scan>;

// ---- Fused operations

enum class Epilogue : u8 {
  none,   // out = y
  add,    // out += y                        (out holds the residual)
  gate,   // out = gate(out, y)              (out holds the gate)
  gated,  // out = gate(y of part 0, y of part 1)
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
  Function gate = Function::silu_gate;
  ValueId out;

  void operands(auto&& read, auto&& write, auto&& weigh) const {
    read(x), weigh(norm), write(out);
    if (epilogue == Epilogue::add || epilogue == Epilogue::gate) read(out);
    for (const Part& part : parts) weigh(part.weight), weigh(part.bias);
  }
};

// On one value [q heads | k heads | v heads], in place: optional RMS norm of each q and k head, optional RoPE of q and
// k, k and v appended to the KV state, whose keys and values are equally wide.
struct RotateStore {
  StateId state;
  ValueId qkv;
  u32 heads = 0;  // of q
  RopeId table;   // or none
  WeightId q_norm = WeightId::none, k_norm = WeightId::none;
  float eps = 0;

  void operands(auto&& read, auto&& write, auto&& weigh) const { read(qkv), write(qkv), weigh(q_norm), weigh(k_norm); }
};

// out = residual + norm(x)
struct NormAdd {
  Norm norm;
  ValueId residual, out;

  void operands(auto&& read, auto&& write, auto&& weigh) const {
    norm.operands(read, [](ValueId) {}, weigh);
    read(residual), write(out);
  }
};

using FusedOp = std::variant<Embed, Norm, MatMul, Rope, StoreKv, Attention, Map, PositionScale, TakeColumns,
                             JoinColumns, Route, WeightedSum, KeepLargest, Conv1d, DeltaRule, Scan,  // the plain ones
                             FusedMatMul, RotateStore, NormAdd>;

// Calls read(id) for each value that an operation reads and write(id) for each that it makes: the one list of operands.
template <class Op, class Read, class Write>
void for_each_operand(const Op& op, const Read& read, const Write& write) {
  const auto some = [](const auto& visit) {
    return [&visit](ValueId id) {
      if (id != ValueId::none) visit(id);
    };
  };
  std::visit([&](const auto& o) { o.operands(some(read), some(write), [](WeightId) {}); }, op);
}
// The same for weights.
template <class Op, class Visit>
void for_each_weight(const Op& op, const Visit& visit) {
  const auto some = [&](WeightId id) {
    if (id != WeightId::none) visit(id);
  };
  std::visit([&](const auto& o) { o.operands([](ValueId) {}, [](ValueId) {}, some); }, op);
}
// Whether what an operation does outlives its step.
template <class Op>
bool writes_state(const Op& op) {
  return std::visit(
      []<class O>(const O&) {
        return std::is_same_v<O, StoreKv> || std::is_same_v<O, RotateStore> || std::is_same_v<O, Conv1d> ||
               std::is_same_v<O, DeltaRule> || std::is_same_v<O, Scan>;
      },
      op);
}

// ---- Graphs

struct Graph {
  std::vector<Value> values;
  std::vector<Weight> weights;
  std::vector<RopeTable> ropes;
  std::vector<State> states;
  std::vector<PlainOp> ops;
  ValueId hidden = ValueId::none;   // what the output matrix reads
  ValueId output = ValueId::none;   // logits, or hidden; made by the last operation
  Pooling pooling = Pooling::none;  // that the model was made for

  const Value& operator[](ValueId id) const { return values[u32(id)]; }
  const Weight& operator[](WeightId id) const { return weights[u32(id)]; }
  const RopeTable& operator[](RopeId id) const { return ropes[u32(id)]; }
  const KvState& kv(StateId id) const { return std::get<KvState>(states[u32(id)]); }
  const RecurrentState& recurrent(StateId id) const { return std::get<RecurrentState>(states[u32(id)]); }

  bool causal() const;     // no token sees a later one
  bool recurrent() const;  // some state cannot go back
  u32 positions() const;   // most tokens that it has embeddings of positions for; ~0u: any number
};

// The first of the last operations that write no state: only tokens whose output is wanted go through them.
std::size_t tail_of(const Graph& graph);

// The same without what only the logits need, weights included: its output is the hidden states.
Graph without_logits(Graph graph);

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

// Rewrites what one kernel can do at once. Rules that do not match leave plain operations: any graph can be run.
Result<FusedGraph> fuse(const Graph& graph);

// Most floats in a row of a value: 4 GiB, more than any device binds.
constexpr u64 max_width = u64{1} << 30;

// Floats a row of a value takes in memory: padded to whole units of eight, the padding kept at zero.
constexpr u32 row_stride(u32 width) { return u32(align_up(width, 8)); }

// Helps model code to build a graph in the order of the paper. Widths must match (CHECK).
class Builder {
 public:
  const Graph& graph() const { return graph_; }
  u32 width(ValueId id) const { return graph_[id].width; }

  WeightId weight(std::string name, const formats::Format* format, u32 rows, u32 cols, u32 first_row = 0,
                  float added = 0) {
    return weight({std::move(name), format, rows, cols, first_row, added});
  }
  WeightId weight(Weight weight) {
    graph_.weights.push_back(std::move(weight));
    return WeightId(graph_.weights.size() - 1);
  }
  RopeId rope_table(RopeTable table);  // equal ones are one
  StateId state(State state) {
    graph_.states.push_back(state);
    return StateId(graph_.states.size() - 1);
  }

  ValueId embed(WeightId table, bool by_position = false) {
    return emit(graph_[table].cols, Embed{.table = table, .out = {}, .by_position = by_position});
  }
  ValueId norm(Norm norm) { return emit(width(norm.x), norm); }
  ValueId rms_norm(ValueId x, WeightId weight, float eps) {
    return norm(
        {.x = x, .weight = weight, .group = weight == WeightId::none ? width(x) : graph_[weight].cols, .eps = eps});
  }
  ValueId matmul(ValueId x, WeightId weight, WeightId bias = WeightId::none) {
    CHECK(width(x) == graph_[weight].cols);
    return emit(graph_[weight].rows, MatMul{.x = x, .weight = weight, .bias = bias});
  }
  // rows: of each matrix.
  ValueId matmul_chosen(ValueId x, WeightId weight, WeightId bias, ValueId chosen, u32 slots, u32 rows) {
    CHECK(width(x) == graph_[weight].cols || width(x) == slots * graph_[weight].cols);
    CHECK(graph_[weight].rows % rows == 0);
    return emit(slots * rows, MatMul{.x = x, .weight = weight, .bias = bias, .chosen = chosen, .slots = slots});
  }
  ValueId rope(ValueId x, RopeId table, u32 head, u32 first = 0) {
    CHECK(width(x) % head == 0 && first + graph_[table].rotated() <= head);
    return emit(width(x), Rope{.x = x, .table = table, .head = head, .first = first});
  }
  void store_kv(StateId state, ValueId k, ValueId v) { graph_.ops.push_back(StoreKv{state, k, v}); }
  ValueId attention(Attention attention) {
    return emit(attention.heads * graph_.kv(attention.state).value_width, attention);
  }
  ValueId map(Function function, ValueId a, std::array<float, 4> p = {}) {
    return emit(width(a), Map{.function = function, .a = a, .p = p});
  }
  ValueId map(Function function, ValueId a, ValueId b, std::array<float, 4> p = {}) {
    CHECK(width(a) % width(b) == 0);
    return emit(width(a), Map{.function = function, .a = a, .b = b, .p = p});
  }
  ValueId map(Function function, ValueId a, WeightId b, std::array<float, 4> p = {}) {
    CHECK(function == Function::learned_xielu ? graph_[b].cols == 4 : width(a) % graph_[b].cols == 0);
    return emit(width(a), Map{.function = function, .a = a, .weight = b, .p = p});
  }
  ValueId add(ValueId a, ValueId b) { return map(Function::add, a, b); }
  ValueId scale(ValueId a, double factor) { return map(Function::scale, a, {float(factor)}); }
  ValueId position_scale(ValueId x, float scale, u32 interval) {
    return emit(width(x), PositionScale{.x = x, .scale = scale, .interval = interval});
  }
  // A slice where the columns lie on whole units, else a copy.
  ValueId columns(ValueId x, u32 first, u32 count);
  ValueId take_columns(ValueId x, u32 group, u32 first, u32 count) {
    CHECK(width(x) % group == 0 && first + count <= group);
    return emit(width(x) / group * count, TakeColumns{.x = x, .group = group, .first = first, .width = count});
  }
  ValueId join_columns(ValueId a, u32 group_a, ValueId b, u32 group_b) {
    CHECK(width(a) / group_a == width(b) / group_b && width(a) % group_a == 0 && width(b) % group_b == 0);
    return emit(width(a) + width(b), JoinColumns{.a = a, .b = b, .group_a = group_a, .group_b = group_b});
  }
  struct Routed {
    ValueId chosen, weights;
  };
  Routed route(Route route);
  ValueId weighted_sum(ValueId x, ValueId weights) {
    CHECK(width(x) % width(weights) == 0);
    return emit(width(x) / width(weights), WeightedSum{.x = x, .weights = weights});
  }
  ValueId keep_largest(ValueId x, float deviations) { return emit(width(x), KeepLargest{x, deviations}); }
  // Makes the state, too.
  ValueId conv1d(ValueId x, WeightId weight, WeightId bias = WeightId::none);
  ValueId delta_rule(DeltaRule rule);  // rule.state is filled in
  ValueId scan(Scan scan);             // scan.state is filled in

  Graph finish(ValueId hidden, ValueId output, Pooling pooling = Pooling::none) {
    graph_.hidden = hidden;
    graph_.output = output;
    graph_.pooling = pooling;
    return std::move(graph_);
  }

 private:
  ValueId new_value(u32 width) {
    graph_.values.push_back({width});
    return ValueId(graph_.values.size() - 1);
  }
  template <class Op>
  ValueId emit(u32 width, Op op) {
    op.out = new_value(width);
    graph_.ops.push_back(op);
    return op.out;
  }

  Graph graph_;
};

}  // namespace pronk::graph
