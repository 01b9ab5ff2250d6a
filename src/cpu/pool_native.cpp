// POSIX threads.
#include <pthread.h>
#include <time.h>
#include <vector>

#include "cpu/pool.h"

namespace pronk::cpu {

struct Pool::Threads {
  struct Start {
    Pool* pool;
    u32 thread;
  };
  std::vector<Start> starts;
  std::vector<pthread_t> handles;
};

Pool::Pool(u32 threads) : started_(std::make_unique<Threads>()) {
  open(threads);
  started_->starts.reserve(threads);
  const auto live = [](void* start) -> void* {
    const auto& [pool, thread] = *static_cast<Threads::Start*>(start);
    pool->serve(thread);
    return nullptr;
  };
  for (; threads_ < threads; ++threads_) {
    started_->starts.push_back({this, threads_});
    pthread_t handle;
    if (pthread_create(&handle, nullptr, live, &started_->starts.back()) != 0) break;
    started_->handles.push_back(handle);
  }
}

Pool::~Pool() {
  close();
  for (const pthread_t handle : started_->handles) pthread_join(handle, nullptr);
}

void Pool::wait(const std::atomic<u32>& word, u32 value) { word.wait(value); }
void Pool::wake(std::atomic<u32>& word) { word.notify_all(); }

u64 Pool::nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return u64(now.tv_sec) * 1'000'000'000 + u64(now.tv_nsec);
}

void Pool::spin() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace pronk::cpu
