#include "cpu/pool.h"

namespace pronk::cpu {
namespace {

// Looks at a word before a wait: longer than the gap between two jobs of a token, shorter than anyone minds.
constexpr u32 spins = 4000;

}  // namespace

void Pool::run_job(u32 parts, Call call, const void* work) {
  call_ = call;
  work_ = work;
  pending_.store(parts, std::memory_order_relaxed);
  left_.store(parts);
  if (asleep_.load() > 0) wake(left_);
  while (take_part(0)) {
  }
  for (u32 i = 0; i < spins && pending_.load(std::memory_order_acquire) > 0; ++i) spin();
  for (u32 pending; (pending = pending_.load(std::memory_order_acquire)) > 0;) wait(pending_, pending);
}

// Whoever takes the last part takes it before the job is done, so what a job is cannot change under one who has a part.
bool Pool::take_part(u32 thread) {
  u32 left = left_.load(std::memory_order_relaxed);
  do {
    if (left == 0 || left == closed) return false;
  } while (!left_.compare_exchange_weak(left, left - 1, std::memory_order_acquire, std::memory_order_relaxed));
  call_(work_, left - 1, thread);
  if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) wake(pending_);
  return true;
}

void Pool::serve(u32 thread) {
  for (u32 idle = 0; left_.load(std::memory_order_relaxed) != closed;) {
    if (take_part(thread)) {
      idle = 0;
    } else if (++idle < spins) {
      spin();
    } else {
      ++asleep_;
      wait(left_, 0);
      --asleep_;
      idle = 0;
    }
  }
}

void Pool::close() {
  left_.store(closed);
  wake(left_);
}

}  // namespace pronk::cpu
