// Threads that share one caller's work.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>

#include "base/check.h"
#include "base/types.h"

namespace pronk::cpu {

// A job is a number of parts. Each thread, the caller among them, takes those of its own share one by one from a
// counter, then what is left of the others' shares: one that a busy neighbour holds up does fewer. When the caller had
// to wait for such a one, it works alone for a while. Only one thread may call run(), and no part may call it.
class Pool {
 public:
  struct Threads;  // the platform's: pool_native.cpp, pool_wasm.cpp, pool_wasm_threads.cpp

  explicit Pool(u32 threads);  // the caller's included; at least one. Where threads cannot be had there are fewer.
  ~Pool();                     // none of them runs any more
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  u32 threads() const { return threads_; }

  // Calls work(part, thread) once for each part below `parts`, in no certain order, and returns when all are done.
  // thread: which of threads() it is, so that each can have its own scratch memory.
  template <class Work>
  void run(u32 parts, const Work& work) {
    CHECK(parts < closed);
    if (threads_ == 1 || parts <= 1) {
      for (u32 part = 0; part < parts; ++part) work(part, 0u);
      return;
    }
    run_job(parts, [](const void* w, u32 part, u32 thread) { (*static_cast<const Work*>(w))(part, thread); }, &work);
  }

  // The same with work(first, end, thread) for runs of `step` of `count` things; the last may be shorter.
  template <class Work>
  void run_ranges(u32 count, u32 step, const Work& work) {
    run(u32(ceil_div(count, step)), [&](u32 part, u32 thread) {
      const u32 first = part * step;
      work(first, first + std::min(step, count - first), thread);
    });
  }

 private:
  using Call = void (*)(const void* work, u32 part, u32 thread);
  static constexpr u32 closed = ~0u;

  // The platform's. wait() returns once the word is not `value`, wake() lets all who wait look again. nanoseconds(): of
  // a clock; always 0 where there is none.
  static void wait(const std::atomic<u32>& word, u32 value);
  static void wake(std::atomic<u32>& word);
  static void spin();
  static u64 nanoseconds();

  // A thread's share of the job: parts first to first + left are still to be taken, the last of them first.
  struct alignas(64) Share {
    std::atomic<u32> left = 0;  // or `closed`; the thread waits for it to change from 0
    u32 first = 0;
  };

  void open(u32 most_threads);
  void close();
  void run_job(u32 parts, Call call, const void* work);
  void share_out(u32 parts);
  void judge(u64 start, u64 own_end, u64 end);
  bool take_part(Share& share, u32 thread);
  u32 take_parts(u32 thread);  // as long as there are any; how many
  void serve(u32 thread);      // a thread's life, until the pool is closed

  u32 threads_ = 1, shares_count_ = 1;
  std::unique_ptr<Share[]> shares_;
  // The job. Written while no part is left and none is pending, read by who has taken a part.
  Call call_ = nullptr;
  const void* work_ = nullptr;
  alignas(64) std::atomic<u32> pending_ = 0;  // parts that are not known to be done; the caller waits for 0
  alignas(64) std::atomic<u32> asleep_ = 0;   // threads that wait, their spin being over
  u64 alone_until_ = 0, alone_for_ = 0;       // nanoseconds; for: the next time
  std::unique_ptr<Threads> started_;
};

}  // namespace pronk::cpu
