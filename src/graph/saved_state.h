// What a session has computed, as bytes: the states of its layers at one position. The bytes are the same on every back
// end: of each KV state head by head the rows of its positions, keys then values; of each recurrence what it carries,
// then the copies that are kept.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "graph/checkpoints.h"
#include "graph/graph.h"
#include "graph/kv_type.h"

namespace pronk::graph {

struct SavedStates {
  u32 position = 0;          // the states are those before it
  Checkpoints checkpoints;   // whose copies are saved too
  std::vector<u32> first{};  // of each state: the first position whose rows are saved; 0 of a recurrence
};

// Positions before a window that are saved too: so far a session can go back after it was restored.
constexpr u32 saved_slack = 16;

// The first position of a KV state that is worth saving at `position`, where rows from `valid` on are there.
u32 first_saved(const KvState& state, u32 position, u32 valid);

enum class StatePart : u8 { keys, values, carried, copy };

// Bytes that follow one another in memory and among those saved.
struct StateRun {
  u32 state = 0;
  StatePart part = StatePart::keys;
  u32 copy = 0;    // of StatePart::copy: which
  u64 offset = 0;  // in the part, where a back end has it
  u64 bytes = 0;
};

// An error when a state of this graph cannot be so.
Status check_saved(const Graph& graph, const SavedStates& saved, u32 context, u32 slack);
u64 saved_bytes(const Graph& graph, KvTypes kv, const SavedStates& saved);

// Goes through all that is saved, in order. context, slack: of the back end, for the capacity of its rings.
class StateCursor {
 public:
  StateCursor() = default;
  StateCursor(const Graph& graph, KvTypes kv, const SavedStates& saved, u32 context, u32 slack);

  bool done() const { return next_ == runs_.size(); }
  // The next run, or its first `most` bytes. Not when done().
  StateRun take(u64 most);

 private:
  std::vector<StateRun> runs_;
  std::size_t next_ = 0;
};

}  // namespace pronk::graph
