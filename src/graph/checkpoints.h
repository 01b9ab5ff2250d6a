// Which copies a session keeps of its recurrent states, and of which positions; both back ends keep theirs by it.
#pragma once

#include <algorithm>
#include <array>
#include <optional>

#include "base/types.h"

namespace pronk::graph {

// One copy is made at the end of the prompt, where another answer to it begins. Two more follow the run by turns, so
// that there is one at most an interval before any position of the last interval, also when the newest copy is of
// positions that turn out not to count.
class Checkpoints {
 public:
  static constexpr u32 copies = 3;
  // Tokens between those that follow. So many are prefilled again in the time of a few decoded ones; and a copy, which
  // reads and writes the states once, is a small part of so many steps, each of which does the same.
  static constexpr u32 interval = 64;

  // The position that a copy is of, if it is of any.
  std::optional<u32> at(u32 copy) const { return at_[copy]; }
  void set(u32 copy, std::optional<u32> position) { at_[copy] = position; }
  // The copy of exactly this position, if there is one.
  std::optional<u32> find(u32 position) const {
    const auto same = std::find(at_.begin(), at_.end(), std::optional(position));
    return same == at_.end() ? std::nullopt : std::optional(u32(same - at_.begin()));
  }
  // The largest position up to this one of which there is a copy; 0, the start, when there is none.
  u32 last(u32 position) const {
    u32 best = 0;
    for (const auto& at : at_) {
      if (at && *at <= position) best = std::max(best, *at);
    }
    return best;
  }
  // The states are those of `position`, the largest of the run so far. The copy to make, if one is due.
  std::optional<u32> end_prompt(u32 position) {
    return position == 0 || at_[0] == position ? std::nullopt : std::optional(put(0, position));
  }
  std::optional<u32> follow(u32 position) {
    if (position < last(position) + interval) return std::nullopt;
    return put(at_[1] && (!at_[2] || *at_[2] < *at_[1]) ? 2 : 1, position);
  }
  // What lies behind is of another text.
  void forget_after(u32 position) {
    for (auto& at : at_) {
      if (at && *at > position) at.reset();
    }
  }

 private:
  u32 put(u32 copy, u32 position) {
    at_[copy] = position;
    return copy;
  }

  std::array<std::optional<u32>, copies> at_;
};

}  // namespace pronk::graph
