#include "cpu/workspace.h"

#include <algorithm>

namespace pronk::cpu {
namespace {

using graph::Graph;
using graph::ValueId;

constexpr u64 arena_alignment = 64;  // bytes: a cache line

// The product that an operation is, without slots; else null.
const graph::MatMul* plain_product(const graph::PlainOp& op) {
  const auto* matmul = std::get_if<graph::MatMul>(&op);
  return matmul && matmul->slots == 1 && matmul->chosen == ValueId::none ? matmul : nullptr;
}

void join_products(const Graph& graph, Workspace& workspace) {
  workspace.together.assign(graph.ops.size(), 1);
  for (std::size_t i = 0; i < graph.ops.size(); i += workspace.together[i]) {
    const graph::MatMul* first = plain_product(graph.ops[i]);
    u32& count = workspace.together[i];
    for (; first && count < most_together && i + count < graph.ops.size() && i + count != workspace.tail; ++count) {
      const graph::MatMul* next = plain_product(graph.ops[i + count]);
      if (!next || next->x != first->x) break;
    }
  }
}

// Each value from the operation that makes it to the last that reads it, slices being their parents; the output lies
// elsewhere. Operations that run as one are one moment. The tail runs several times: what it reads of what came before
// must stay until its end.
void plan_arena(const Graph& graph, u32 chunk, u64 element_bytes, Workspace& workspace) {
  std::vector<graph::Interval> intervals(graph.values.size());
  workspace.in_tail.resize(graph.values.size());
  u32 moment = 0;
  for (u32 i = 0; i < graph.ops.size(); ++i) {
    if (i == moment + workspace.together[moment]) moment = i;
    const bool in_tail = i >= workspace.tail;
    const auto made = [&](ValueId out) {
      const u64 row_bytes = graph::row_stride(graph[out].width) * element_bytes;
      const u64 rows = out == graph.output ? 0 : in_tail ? workspace.tail_rows : chunk;
      intervals[u32(out)] = {row_bytes * rows, moment, moment};
      workspace.in_tail[u32(out)] = in_tail;
    };
    const auto read = [&](ValueId in) {
      const u32 root = u32(graph::slice_of(graph.values, in).root);
      intervals[root].last = in_tail && !workspace.in_tail[root] ? u32(graph.ops.size() - 1) : moment;
    };
    graph::for_each_operand(graph.ops[i], read, made);
  }
  workspace.arena = graph::plan_memory(intervals, {}, arena_alignment);
  CHECK(workspace.arena.buffer_bytes.size() == 1);
}

}  // namespace

Workspace plan_workspace(const Graph& graph, u32 chunk, u32 logit_rows, bool quantizes, const Kernels& kernels,
                         u64 element_bytes) {
  Workspace workspace;
  workspace.tail = graph::tail_of(graph);
  workspace.tail_rows = std::clamp(logit_rows, 1u, chunk);
  join_products(graph, workspace);
  plan_arena(graph, chunk, element_bytes, workspace);
  for (const auto& op : graph.ops) {
    if (const auto* matmul = std::get_if<graph::MatMul>(&op)) {
      const graph::Weight& weight = graph[matmul->weight];
      workspace.products.cover(graph, *matmul, chunk, quantizes && takes_quants(kernels, *weight.format, weight.cols));
    } else if (const auto* attention = std::get_if<graph::Attention>(&op)) {
      workspace.attention.cover(graph.kv(attention->state), attention->heads, chunk);
    } else if (const auto* store = std::get_if<graph::StoreKv>(&op)) {
      workspace.attention.cover_store(graph.kv(store->state));
    } else if (const auto* route = std::get_if<graph::Route>(&op)) {
      workspace.experts = std::max(workspace.experts, graph[route->logits].width);
      workspace.expert_groups = std::max(workspace.expert_groups, route->groups);
    } else if (const auto* rule = std::get_if<graph::DeltaRule>(&op)) {
      workspace.sums = std::max<u64>(workspace.sums, graph[rule->v].width / rule->value_heads);
    }
  }
  return workspace;
}

}  // namespace pronk::cpu
