#include "graph/saved_state.h"

#include <algorithm>
#include <string>

namespace pronk::graph {
namespace {

u64 row_bytes(const KvState& state, KvTypes kv, StatePart part) {
  return part == StatePart::keys ? kv_row_bytes(kv.k, state.key_width) : kv_row_bytes(kv.v, state.value_width);
}

// The rows of a part, head by head, each cut where the ring ends.
void add_rows(std::vector<StateRun>& runs, u32 id, StatePart part, const KvState& state, u64 row, u32 capacity,
              u32 first, u32 end) {
  for (u32 head = 0; head < state.heads; ++head) {
    for (u32 at = first; at < end;) {
      const u32 place = at % capacity, count = std::min(capacity - place, end - at);
      runs.push_back({.state = id, .part = part, .offset = (u64(head) * capacity + place) * row, .bytes = count * row});
      at += count;
    }
  }
}

}  // namespace

u32 first_saved(const KvState& state, u32 position, u32 valid) {
  if (state.window == 0) return 0;
  const u64 wanted = u64(state.window) + saved_slack;
  return std::max(valid, wanted < position ? u32(position - wanted) : 0);
}

Status check_saved(const Graph& graph, const SavedStates& saved, u32 context, u32 slack) {
  if (saved.position > context) {
    return fail("the saved session has " + std::to_string(saved.position) + " tokens, more than the context length " +
                std::to_string(context));
  }
  bool good = saved.first.size() == graph.states.size();
  for (std::size_t i = 0; good && i < graph.states.size(); ++i) {
    const auto* kv = std::get_if<KvState>(&graph.states[i]);
    const u32 first = saved.first[i];
    good = first <= saved.position &&
           (first == 0 || (kv && kv->window > 0 && first + kv->window <= saved.position + 1)) &&
           (!kv || saved.position - first <= kv_capacity(*kv, context, slack));
  }
  for (u32 copy = 0; copy < Checkpoints::copies; ++copy) {
    good = good && saved.checkpoints.at(copy).value_or(0) <= saved.position;
  }
  return good ? Status() : fail("the saved session is not one of this model");
}

u64 saved_bytes(const Graph& graph, KvTypes kv, const SavedStates& saved) {
  u64 copies = 0;
  for (u32 copy = 0; copy < Checkpoints::copies; ++copy) copies += saved.checkpoints.at(copy) ? 1 : 0;
  u64 bytes = 0;
  for (std::size_t i = 0; i < graph.states.size(); ++i) {
    if (const auto* state = std::get_if<KvState>(&graph.states[i])) {
      u64 row = row_bytes(*state, kv, StatePart::keys);
      if (!state->values_in_keys) row += row_bytes(*state, kv, StatePart::values);
      bytes += u64(state->heads) * (saved.position - saved.first[i]) * row;
    } else {
      bytes += (1 + copies) * std::get<RecurrentState>(graph.states[i]).floats * sizeof(float);
    }
  }
  return saved.position == 0 ? 0 : bytes;
}

StateCursor::StateCursor(const Graph& graph, KvTypes kv, const SavedStates& saved, u32 context, u32 slack) {
  if (saved.position == 0) return;
  for (u32 i = 0; i < graph.states.size(); ++i) {
    if (const auto* state = std::get_if<KvState>(&graph.states[i])) {
      const u32 capacity = kv_capacity(*state, context, slack);
      for (const StatePart part : {StatePart::keys, StatePart::values}) {
        if (part == StatePart::values && state->values_in_keys) continue;
        add_rows(runs_, i, part, *state, row_bytes(*state, kv, part), capacity, saved.first[i], saved.position);
      }
      continue;
    }
    const u64 bytes = u64(std::get<RecurrentState>(graph.states[i]).floats) * sizeof(float);
    runs_.push_back({.state = i, .part = StatePart::carried, .bytes = bytes});
    for (u32 copy = 0; copy < Checkpoints::copies; ++copy) {
      if (saved.checkpoints.at(copy)) {
        runs_.push_back({.state = i, .part = StatePart::copy, .copy = copy, .bytes = bytes});
      }
    }
  }
}

StateRun StateCursor::take(u64 most) {
  CHECK(!done() && most > 0);
  StateRun& run = runs_[next_];
  StateRun taken = run;
  taken.bytes = std::min(run.bytes, most);
  run.offset += taken.bytes;
  run.bytes -= taken.bytes;
  if (run.bytes == 0) ++next_;
  return taken;
}

}  // namespace pronk::graph
