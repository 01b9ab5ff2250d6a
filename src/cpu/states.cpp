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
  kept_ = carried_;
}

template <class Real>
u64 States<Real>::bytes(const graph::Graph& graph, u32 context_length, graph::KvTypes kv, u32 chunk) {
  u64 bytes = 0;
  for (const graph::State& state : graph.states) {
    if (const auto* s = std::get_if<graph::KvState>(&state)) {
      bytes += KvCache<Real>::bytes(*s, graph::kv_capacity(*s, context_length, chunk), kv);
    } else {
      bytes += 2 * u64(std::get<graph::RecurrentState>(state).floats) * sizeof(Real);
    }
  }
  return bytes;
}

template <class Real>
u64 States<Real>::bytes() const {
  u64 bytes = 0;
  for (const auto& cache : caches_) bytes += cache ? cache->bytes() : 0;
  for (const auto* floats : {&carried_, &kept_}) {
    for (const auto& state : *floats) bytes += state.size() * sizeof(Real);
  }
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
  for (const u32 at : {recurrent_ ? stands_at_ : position, recurrent_ ? kept_at_ : position}) {
    if (at <= position && at > best && windows_hold(at)) best = at;
  }
  return best;
}

template <class Real>
void States<Real>::checkpoint() {
  if (!recurrent_) return;
  CHECK(stands_at_ != nowhere);
  if (kept_at_ == stands_at_) return;
  kept_ = carried_;
  kept_at_ = stands_at_;
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
    carried_ = kept_;
  }
  stands_at_ = position;
  if (kept_at_ > position) kept_at_ = nowhere;  // what was kept is of another text
}

template class States<float>;
template class States<double>;

}  // namespace pronk::cpu
