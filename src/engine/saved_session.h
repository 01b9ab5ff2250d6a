// The head of a saved session: what it belongs to, its tokens, and where the bytes of its states are of.
#pragma once

#include <span>
#include <vector>

#include "graph/saved_state.h"

namespace pronk::engine {

struct SavedSession {
  u64 model = 0;  // WeightSample::value()
  graph::KvTypes kv = graph::KvType::f16;
  std::vector<u32> tokens;  // as many as states.position
  graph::SavedStates states;
};

std::vector<u8> write_saved(const SavedSession& session);
// Untrusted bytes; whether the states are ones of this model check_saved() says.
Result<SavedSession> read_saved(std::span<const u8> head);

}  // namespace pronk::engine
