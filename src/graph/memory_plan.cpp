#include "graph/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace pronk::graph {
namespace {

bool overlap(const Interval& a, const Interval& b) { return a.first <= b.last && b.first <= a.last; }

// What is sorted here: one type, as each has its own code.
using Keys = std::vector<std::pair<u64, u64>>;

u64 alive_at_once(const std::vector<Interval>& intervals, u64 alignment) {
  Keys changes;  // twice the step, odd where bytes are added: what ends goes first
  for (const Interval& at : intervals) {
    const u64 bytes = align_up(at.bytes, alignment);
    changes.push_back({2 * u64{at.first} + 1, bytes});
    changes.push_back({2 * (u64{at.last} + 1), bytes});
  }
  std::sort(changes.begin(), changes.end());
  u64 sum = 0, most = 0;
  for (const auto& [step, bytes] : changes) {
    sum = step % 2 == 1 ? sum + bytes : sum - bytes;
    most = std::max(most, sum);
  }
  return most;
}

// Items by size(item), the largest first.
std::vector<u32> largest_first(u64 count, const auto& size) {
  Keys keys;
  for (u64 i = 0; i < count; ++i) keys.push_back({~size(i), i});
  std::sort(keys.begin(), keys.end());
  std::vector<u32> order;
  for (const auto& [key, item] : keys) order.push_back(u32(item));
  return order;
}

using Pairs = std::vector<std::pair<u32, u32>>;

// Places each interval in turn where the buffers grow least.
MemoryPlan place(const std::vector<Interval>& intervals, const Pairs& apart, u64 alignment,
                 const std::vector<u32>& order) {
  constexpr u32 unplaced = ~0u;
  MemoryPlan plan;
  plan.ranges.assign(intervals.size(), {unplaced, 0, 0});
  std::vector<std::vector<u32>> rivals(intervals.size());  // that must be in another buffer
  for (const auto& [a, b] : apart) {
    if (a == b) continue;
    rivals[a].push_back(b);
    rivals[b].push_back(a);
  }
  std::vector<std::vector<u32>> placed;  // in each buffer
  for (u32 item : order) {
    const auto forbidden = [&](u32 buffer) {
      return std::any_of(rivals[item].begin(), rivals[item].end(),
                         [&](u32 rival) { return plan.ranges[rival].buffer == buffer; });
    };
    const auto lowest_offset = [&](u32 buffer) {
      Keys taken;  // ranges that are in use while the item is alive
      for (u32 other : placed[buffer]) {
        if (!overlap(intervals[item], intervals[other])) continue;
        const u64 offset = plan.ranges[other].offset;
        taken.push_back({offset, offset + align_up(intervals[other].bytes, alignment)});
      }
      std::sort(taken.begin(), taken.end());
      u64 offset = 0;
      for (const auto& [begin, end] : taken) {
        if (offset + intervals[item].bytes <= begin) break;
        offset = std::max(offset, end);
      }
      return offset;
    };

    const u32 buffers = u32(plan.buffer_bytes.size());
    Range best{buffers, 0, intervals[item].bytes};
    u64 best_growth = align_up(intervals[item].bytes, alignment);
    for (u32 buffer = 0; buffer < buffers; ++buffer) {
      if (forbidden(buffer)) continue;
      const u64 offset = lowest_offset(buffer);
      const u64 end = align_up(offset + intervals[item].bytes, alignment);
      const u64 growth = end > plan.buffer_bytes[buffer] ? end - plan.buffer_bytes[buffer] : 0;
      if (best.buffer == buffers || growth < best_growth)
        best.buffer = buffer, best.offset = offset, best_growth = growth;
    }
    if (best.buffer == buffers) plan.buffer_bytes.push_back(0), placed.emplace_back();
    plan.buffer_bytes[best.buffer] += best_growth;
    placed[best.buffer].push_back(item);
    plan.ranges[item] = best;
  }
  return plan;
}

u64 total(const MemoryPlan& plan) {
  return std::accumulate(plan.buffer_bytes.begin(), plan.buffer_bytes.end(), u64{0});
}

}  // namespace

// No order of placing is the best for all graphs: the largest first, or the longest-lived.
MemoryPlan plan_memory(const std::vector<Interval>& intervals, const Pairs& apart, u64 alignment) {
  const u64 count = intervals.size();
  const auto by_bytes = largest_first(count, [&](u64 i) { return intervals[i].bytes; });
  const auto by_life = largest_first(count, [&](u64 i) { return u64(intervals[i].last - intervals[i].first); });
  MemoryPlan plan = place(intervals, apart, alignment, by_bytes);
  MemoryPlan other = place(intervals, apart, alignment, by_life);
  if (total(other) < total(plan)) plan = std::move(other);
  plan.lower_bound = alive_at_once(intervals, alignment);
  return plan;
}

}  // namespace pronk::graph
