// What computing tokens reads and multiplies, by a graph's plain operations: figures to hold a measured speed against.
#pragma once

#include "base/types.h"
#include "graph/kv_type.h"

namespace pronk::graph {

struct Graph;

// Sums over the tokens of a run, each computed on its own, as decode does it.
struct RunCost {
  u64 weight_bytes = 0;   // rows that are looked up, matrices, of experts the chosen ones, vectors
  u64 cache_bytes = 0;    // keys and values of the positions seen and of its own, recurrent states in and out
  u64 multiply_adds = 0;  // of products, attention and recurrences

  bool operator==(const RunCost&) const = default;
};

// Of tokens at positions first, first + 1, …; the last `logits` of them go through all of the graph, those before only
// through what leads to a state.
RunCost run_cost(const Graph& graph, KvTypes kv, u32 first, u32 tokens, u32 logits);

}  // namespace pronk::graph
