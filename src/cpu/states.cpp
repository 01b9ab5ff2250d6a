#include "cpu/states.h"

#include <algorithm>

namespace pronk::cpu {

template <class Real>
States<Real>::States(const graph::Graph& graph, u32 context_length, graph::KvTypes kv, u32 chunk)
    : recurrent_(graph.recurrent()), carried_(graph.states.size()) {
  for (std::size_t i = 0; i < graph.states.size(); ++i) {
    if (const auto* state = std::get_if<graph::KvState>(&graph.states[i])) {
      caches_.emplace_back(KvCache<Real>(*state, graph::kv_capacity(*state, context_length, chunk), kv));
    } else {
      caches_.emplace_back();
      carried_[i].resize(std::get<graph::RecurrentState>(graph.states[i]).floats);
    }
  }
  kept_.fill(carried_);
}

template <class Real>
u64 States<Real>::bytes(const graph::Graph& graph, u32 context_length, graph::KvTypes kv, u32 chunk) {
  u64 bytes = 0;
  for (const graph::State& state : graph.states) {
    if (const auto* s = std::get_if<graph::KvState>(&state)) {
      bytes += KvCache<Real>::bytes(*s, graph::kv_capacity(*s, context_length, chunk), kv);
    } else {
      bytes += (1 + graph::Checkpoints::copies) * u64(std::get<graph::RecurrentState>(state).floats) * sizeof(Real);
    }
  }
  return bytes;
}

template <class Real>
u64 States<Real>::bytes() const {
  u64 bytes = 0;
  for (const auto& cache : caches_) bytes += cache ? cache->bytes() : 0;
  const auto add = [&](const auto& floats) {
    for (const auto& state : floats) bytes += state.size() * sizeof(Real);
  };
  add(carried_);
  for (const auto& copy : kept_) add(copy);
  return bytes;
}

template <class Real>
u32 States<Real>::resumable(u32 position) const {
  const auto windows_hold = [&](u32 at) {
    for (const auto& cache : caches_) {
      const u32 window = cache ? cache->state().window : 0;
      if (window > 0 && cache->oldest() + window > std::max(at + 1, window)) return false;
    }
    return true;
  };
  u32 best = 0;
  for (const u32 at : {recurrent_ ? stands_at_ : position, recurrent_ ? checkpoints_.last(position) : position}) {
    if (at <= position && at > best && windows_hold(at)) best = at;
  }
  return best;
}

template <class Real>
void States<Real>::keep(std::optional<u32> copy) {
  if (!recurrent_ || !copy) return;
  CHECK(stands_at_ != nowhere);
  kept_[*copy] = carried_;
}

template <class Real>
void States<Real>::begin(u32 position) {
  CHECK(resumable(position) == position);
  if (position == 0) {
    for (auto& cache : caches_) {
      if (cache) cache->forget();
    }
    for (auto& state : carried_) std::fill(state.begin(), state.end(), Real(0));
  } else if (recurrent_ && stands_at_ != position) {
    carried_ = kept_[*checkpoints_.find(position)];
  }
  stands_at_ = position;
  checkpoints_.forget_after(position);
}

template <class Real>
graph::SavedStates States<Real>::save(u32 position) {
  begin(position);
  graph::SavedStates saved{.position = position, .checkpoints = checkpoints_};
  for (const auto& cache : caches_) {
    saved.first.push_back(cache ? graph::first_saved(cache->state(), position, cache->oldest()) : 0);
  }
  return saved;
}

template <class Real>
void States<Real>::restored(const graph::SavedStates& saved) {
  for (std::size_t i = 0; i < caches_.size(); ++i) {
    if (caches_[i]) caches_[i]->hold_from(saved.first[i]);
  }
  stands_at_ = saved.position;
  checkpoints_ = saved.checkpoints;
}

template <class Real>
u8* States<Real>::bytes_of(const graph::StateRun& run) {
  const auto part = [&]() -> u8* {
    switch (run.part) {
      case graph::StatePart::keys:
        return caches_[run.state]->key_bytes();
      case graph::StatePart::values:
        return caches_[run.state]->value_bytes();
      case graph::StatePart::carried:
        return reinterpret_cast<u8*>(carried_[run.state].data());
      case graph::StatePart::copy:
        return reinterpret_cast<u8*>(kept_[run.copy][run.state].data());
    }
    return nullptr;
  };
  return part() + run.offset;
}

template class States<float>;
template class States<double>;

}  // namespace pronk::cpu
