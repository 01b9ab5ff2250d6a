#include "graph/run_cost.h"

#include <algorithm>

#include "graph/graph.h"

namespace pronk::graph {

namespace {

u64 bytes_of_rows(const Weight& weight, u64 rows) {
  return rows * (weight.cols / weight.format->block_weights) * weight.format->block_bytes;
}

struct Tokens {
  u64 first = 0, count = 0;

  // Σ min(position + 1, window) over them; window 0: all positions.
  u64 positions_seen(u64 window) const {
    const u64 growing = window == 0 ? count : std::min(count, window - std::min(window, first));
    return growing * first + growing * (growing + 1) / 2 + (count - growing) * window;
  }
};

// A token that does not see backwards only sees all of its run, or those within half a window.
u64 seen_both_ways(const Tokens& tokens, u64 window) {
  const u64 all = tokens.first + tokens.count;
  return tokens.count * (window == 0 ? all : std::min(all, window + 1));
}

class Counter {
 public:
  Counter(const Graph& graph, KvTypes kv) : graph_(graph), kv_(kv) {}

  void add(const PlainOp& op, const Tokens& tokens) {
    std::visit([&](const auto& o) { add_one(o, tokens); }, op);
  }
  const RunCost& cost() const { return cost_; }

 private:
  u64 width(ValueId id) const { return graph_[id].width; }
  u64 row_bytes(const KvState& state) const {
    const u64 values = state.values_in_keys ? 0 : kv_row_bytes(kv_.v, state.value_width);
    return state.heads * (kv_row_bytes(kv_.k, state.key_width) + values);
  }
  void add_weight(WeightId id, u64 rows, u64 times) {
    if (id != WeightId::none) cost_.weight_bytes += bytes_of_rows(graph_[id], rows) * times;
  }
  void add_whole(WeightId id, u64 times) {
    if (id != WeightId::none) add_weight(id, graph_[id].rows, times);
  }
  void add_carried(StateId id, u64 times) {
    cost_.cache_bytes += 2 * sizeof(float) * std::get<RecurrentState>(graph_.states[u32(id)]).floats * times;
  }

  template <class Op>
  void add_one(const Op& op, const Tokens& tokens) {
    op.operands([](ValueId) {}, [](ValueId) {}, [&](WeightId id) { add_whole(id, tokens.count); });
  }
  void add_one(const Embed& op, const Tokens& tokens) { add_weight(op.table, 1, tokens.count); }
  void add_one(const MatMul& op, const Tokens& tokens) {
    add_weight(op.weight, width(op.out), tokens.count);  // whatever matrices its slots choose
    if (op.bias != WeightId::none) {
      cost_.weight_bytes += bytes_of_rows(graph_[op.bias], 1) * width(op.out) / graph_[op.weight].rows * tokens.count;
    }
    cost_.multiply_adds += width(op.out) * graph_[op.weight].cols * tokens.count;
  }
  void add_one(const StoreKv& op, const Tokens& tokens) {
    cost_.cache_bytes += row_bytes(graph_.kv(op.state)) * tokens.count;
  }
  void add_one(const Attention& op, const Tokens& tokens) {
    const KvState& state = graph_.kv(op.state);
    const u64 seen = op.causal ? tokens.positions_seen(op.window) : seen_both_ways(tokens, op.window);
    add_whole(op.sinks, tokens.count);
    cost_.cache_bytes += row_bytes(state) * seen;
    cost_.multiply_adds += u64(op.heads) * (state.key_width + state.value_width) * seen;
  }
  void add_one(const Conv1d& op, const Tokens& tokens) {
    add_whole(op.weight, tokens.count), add_whole(op.bias, tokens.count);
    add_carried(op.state, tokens.count);
    cost_.multiply_adds += width(op.out) * graph_[op.weight].cols * tokens.count;
  }
  // Decay, what the state says of the key, its correction, and what it says of the query.
  void add_one(const DeltaRule& op, const Tokens& tokens) {
    add_carried(op.state, tokens.count);
    cost_.multiply_adds += 4 * width(op.v) * (width(op.k) / op.key_heads) * tokens.count;
  }
  void add_one(const Scan& op, const Tokens& tokens) {
    add_whole(op.a, tokens.count);
    add_carried(op.state, tokens.count);
    cost_.multiply_adds += 3 * width(op.x) * (width(op.b) / op.groups) * tokens.count;
  }

  const Graph& graph_;
  KvTypes kv_;
  RunCost cost_;
};

}  // namespace

RunCost run_cost(const Graph& graph, KvTypes kv, u32 first, u32 tokens, u32 logits) {
  CHECK(logits <= tokens);
  const Tokens all{first, tokens}, last{u64(first) + tokens - logits, logits};
  const std::size_t tail = tail_of(graph);
  Counter counter(graph, kv);
  for (std::size_t i = 0; i < graph.ops.size(); ++i) counter.add(graph.ops[i], i < tail ? all : last);
  return counter.cost();
}

}  // namespace pronk::graph
