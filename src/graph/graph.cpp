#include "graph/graph.h"

#include <algorithm>

namespace pronk::graph {

std::size_t tail_of(const Graph& graph) {
  std::size_t tail = graph.ops.size();
  while (tail > 0 && !writes_state(graph.ops[tail - 1])) --tail;
  return tail;
}

bool Graph::causal() const {
  return std::all_of(ops.begin(), ops.end(), [](const PlainOp& op) {
    const auto* attention = std::get_if<Attention>(&op);
    return !attention || attention->causal;
  });
}

bool Graph::recurrent() const {
  return std::any_of(states.begin(), states.end(),
                     [](const State& state) { return std::holds_alternative<RecurrentState>(state); });
}

u32 Graph::positions() const {
  u32 most = ~0u;
  for (const PlainOp& op : ops) {
    const auto* embed = std::get_if<Embed>(&op);
    if (embed && embed->by_position) most = std::min(most, (*this)[embed->table].rows);
  }
  return most;
}

Graph without_logits(Graph graph) {
  const auto makes_hidden = [&](const PlainOp& op) {
    bool makes = false;
    for_each_operand(op, [](ValueId) {}, [&](ValueId id) { makes = makes || id == graph.hidden; });
    return makes;
  };
  const auto last = std::find_if(graph.ops.begin(), graph.ops.end(), makes_hidden);
  CHECK(last != graph.ops.end());
  graph.ops.erase(last + 1, graph.ops.end());
  graph.output = graph.hidden;
  std::vector<bool> read(graph.weights.size());
  const auto mark = [&](WeightId id) {
    if (id == WeightId::none) return;
    for (const WeightId each : {id, graph[id].books, graph[id].scales}) {
      if (each != WeightId::none) read[u32(each)] = true;
    }
  };
  for (const PlainOp& op : graph.ops) for_each_weight(op, mark);
  for (const RopeTable& table : graph.ropes) mark(table.factors), mark(table.long_factors);
  while (!graph.weights.empty() && !read[graph.weights.size() - 1]) graph.weights.pop_back();  // they were made last
  return graph;
}

Slice slice_of(const std::vector<Value>& values, ValueId id) {
  Slice result{id, 0};
  while (values[u32(result.root)].parent != ValueId::none) {
    result.column += values[u32(result.root)].column;
    result.root = values[u32(result.root)].parent;
  }
  return result;
}

RopeId Builder::rope_table(RopeTable table) {
  const auto same = std::find(graph_.ropes.begin(), graph_.ropes.end(), table);
  if (same != graph_.ropes.end()) return RopeId(same - graph_.ropes.begin());
  graph_.ropes.push_back(std::move(table));
  return RopeId(graph_.ropes.size() - 1);
}

ValueId Builder::columns(ValueId x, u32 first, u32 count) {
  CHECK(first + count <= width(x));
  if (first % 8 != 0 || count % 8 != 0) return take_columns(x, width(x), first, count);
  graph_.values.push_back({count, x, first});
  return ValueId(graph_.values.size() - 1);
}

Builder::Routed Builder::route(Route route) {
  route.chosen = new_value(route.used);
  route.weights = new_value(route.used);
  graph_.ops.push_back(route);
  return {route.chosen, route.weights};
}

ValueId Builder::conv1d(ValueId x, WeightId weight, WeightId bias) {
  CHECK(graph_[weight].rows == width(x));
  const StateId kept = state(RecurrentState{(graph_[weight].cols - 1) * width(x)});
  return emit(width(x), Conv1d{.state = kept, .x = x, .weight = weight, .bias = bias});
}

ValueId Builder::delta_rule(DeltaRule rule) {
  CHECK(width(rule.q) == width(rule.k) && width(rule.k) % rule.key_heads == 0);
  CHECK(width(rule.v) % rule.value_heads == 0 && rule.value_heads % rule.key_heads == 0);
  CHECK(width(rule.decay) == rule.value_heads && width(rule.beta) == rule.value_heads);
  rule.state = state(RecurrentState{width(rule.k) / rule.key_heads * width(rule.v)});
  return emit(width(rule.v), rule);
}

ValueId Builder::scan(Scan scan) {
  CHECK(width(scan.x) % scan.heads == 0 && width(scan.dt) == scan.heads && scan.heads % scan.groups == 0);
  CHECK(width(scan.b) == width(scan.c) && width(scan.b) % scan.groups == 0);
  scan.state = state(RecurrentState{width(scan.x) * (width(scan.b) / scan.groups)});
  return emit(width(scan.x), scan);
}

}  // namespace pronk::graph
