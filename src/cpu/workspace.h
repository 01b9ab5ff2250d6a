// What a graph's operations need while they run on the CPU, in numbers; the executor allocates it.
#pragma once

#include <vector>

#include "cpu/attention.h"
#include "cpu/kernels.h"
#include "cpu/products.h"
#include "graph/activations.h"
#include "graph/graph.h"
#include "graph/memory_plan.h"

namespace pronk::cpu {

struct Workspace {
  std::size_t tail = 0;  // operations from here on write no state: only rows whose output is wanted go through them
  u32 tail_rows = 0;     // so many at a time
  // Of each operation: so many from it on are products of one activation, and run as one.
  std::vector<u32> together;
  std::vector<bool> in_tail;  // values that are made there
  graph::MemoryPlan arena;
  AttentionSizes attention;
  ProductSizes products;
  u64 sums = 0;                        // a value's width of a delta rule
  u32 experts = 0, expert_groups = 0;  // of a router
};

// quantizes: activations become 8-bit numbers where the format of the weights allows it.
Workspace plan_workspace(const graph::Graph& graph, u32 chunk, u32 logit_rows, bool quantizes, const Kernels& kernels,
                         u64 element_bytes);

}  // namespace pronk::cpu
