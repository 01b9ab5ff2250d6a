#include "cpu/pool.h"

namespace pronk::cpu {
namespace {

// Looks at a word before a wait: longer than the gap between two jobs of a token, shorter than anyone minds.
constexpr u32 spins = 4000;
// Nanoseconds. A wait for others that is longer, and longer than the caller's own work, means that one of them does not
// get a processor. A system gives them out for some milliseconds at a time.
constexpr u64 long_wait = 200'000, least_alone = 4'000'000, most_alone = 256'000'000;

}  // namespace

void Pool::open(u32 most_threads) {
  CHECK(most_threads >= 1);
  shares_count_ = most_threads;
  shares_ = std::make_unique<Share[]>(most_threads);
}

void Pool::close() {
  for (u32 i = 0; i < shares_count_; ++i) {
    shares_[i].left.store(closed);
    wake(shares_[i].left);
  }
}

void Pool::run_job(u32 parts, Call call, const void* work) {
  const u64 start = nanoseconds();
  if (start < alone_until_) {
    for (u32 part = 0; part < parts; ++part) call(work, part, 0);
    return;
  }
  call_ = call;
  work_ = work;
  share_out(parts);
  pending_.fetch_sub(take_parts(0), std::memory_order_acq_rel);
  const u64 own_end = nanoseconds();
  for (u32 i = 0; i < spins && pending_.load(std::memory_order_acquire) > 0; ++i) spin();
  for (u32 pending; (pending = pending_.load(std::memory_order_acquire)) > 0;) wait(pending_, pending);
  judge(start, own_end, nanoseconds());
}

void Pool::share_out(u32 parts) {
  pending_.store(parts, std::memory_order_relaxed);
  for (u32 i = 0; i < threads_; ++i) {
    const u32 first = u32(u64(parts) * i / threads_), end = u32(u64(parts) * (i + 1) / threads_);
    shares_[i].first = first;
    shares_[i].left.store(end - first);
  }
  if (asleep_.load() == 0) return;
  for (u32 i = 1; i < threads_; ++i) wake(shares_[i].left);
}

void Pool::judge(u64 start, u64 own_end, u64 end) {
  const u64 waited = end - own_end;
  if (waited > long_wait && waited > own_end - start) {
    alone_until_ = end + alone_for_;
    alone_for_ = std::min(2 * alone_for_, most_alone);
  } else if (end >= alone_until_ + alone_for_) {  // for so long it has gone well
    alone_for_ = least_alone;
  }
}

// Whoever has a part has it before the job is done, so what a job is cannot change under him.
bool Pool::take_part(Share& share, u32 thread) {
  u32 left = share.left.load(std::memory_order_relaxed);
  do {
    if (left == 0 || left == closed) return false;
  } while (!share.left.compare_exchange_weak(left, left - 1, std::memory_order_acquire, std::memory_order_relaxed));
  call_(work_, share.first + left - 1, thread);
  return true;
}

u32 Pool::take_parts(u32 thread) {
  u32 taken = 0;
  for (u32 i = 0; i < shares_count_; ++i) {
    while (take_part(shares_[(thread + i) % shares_count_], thread)) ++taken;
  }
  return taken;
}

void Pool::serve(u32 thread) {
  std::atomic<u32>& own = shares_[thread].left;
  for (u32 idle = 0; own.load(std::memory_order_relaxed) != closed;) {
    if (own.load(std::memory_order_relaxed) > 0) {
      const u32 taken = take_parts(thread);
      if (taken > 0 && pending_.fetch_sub(taken, std::memory_order_acq_rel) == taken) wake(pending_);
      idle = 0;
    } else if (++idle < spins) {
      spin();
    } else {
      ++asleep_;
      wait(own, 0);
      --asleep_;
      idle = 0;
    }
  }
}

}  // namespace pronk::cpu
