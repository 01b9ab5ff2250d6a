// What a session keeps of a graph's layers on the CPU: KV caches, and the floats of recurrences with their checkpoints.
#pragma once

#include <optional>
#include <vector>

#include "cpu/kv_cache.h"
#include "graph/checkpoints.h"
#include "graph/graph.h"
#include "graph/saved_state.h"

namespace pronk::cpu {

template <class Real>
class States {
 public:
  static constexpr u32 nowhere = ~0u;  // no position

  // The graph must outlive it. chunk: tokens that may be written before it is known whether they count.
  States(const graph::Graph& graph, u32 context_length, graph::KvTypes kv, u32 chunk);
  static u64 bytes(const graph::Graph& graph, u32 context_length, graph::KvTypes kv, u32 chunk);
  u64 bytes() const;

  KvCache<Real>& cache(graph::StateId id) { return *caches_[u32(id)]; }
  Real* carried(graph::StateId id) { return carried_[u32(id)].data(); }

  // See Executor.
  u32 resumable(u32 position) const;
  void end_prompt() { keep(checkpoints_.end_prompt(stands_at_)); }
  void follow() { keep(checkpoints_.follow(stands_at_)); }
  void begin(u32 position);                               // of a run; resumable
  void stand_at(u32 position) { stands_at_ = position; }  // nowhere: while they change

  // What is to be saved at a position, resumable, where the states then stand.
  graph::SavedStates save(u32 position);
  // After begin(0), and what was saved written at bytes_of().
  void restored(const graph::SavedStates& saved);
  u8* bytes_of(const graph::StateRun& run);

 private:
  void keep(std::optional<u32> copy);

  bool recurrent_;
  // Of each state one of the two.
  std::vector<std::optional<KvCache<Real>>> caches_;
  std::vector<std::vector<Real>> carried_;
  std::array<std::vector<std::vector<Real>>, graph::Checkpoints::copies> kept_;
  u32 stands_at_ = 0;  // the position that carried_ is the state before, or nowhere
  graph::Checkpoints checkpoints_;
};

extern template class States<float>;
extern template class States<double>;

}  // namespace pronk::cpu
