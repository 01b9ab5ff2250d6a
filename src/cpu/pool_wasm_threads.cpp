// Workers of the host. One pool with more than one thread is there at a time.
#include "cpu/pool.h"
#include "cpu/pool_wasm.h"

namespace pronk::cpu {
namespace {

std::atomic<Pool*> open_pool = nullptr;
std::atomic<u32> changes = 0;  // of open_pool
std::atomic<u32> inside = 0;   // threads that may touch it
std::atomic<bool> ended = false, lost = false;

i32* address(const std::atomic<u32>& word) { return reinterpret_cast<i32*>(const_cast<std::atomic<u32>*>(&word)); }
void wait_for_change(const std::atomic<u32>& word, u32 value) {
  __builtin_wasm_memory_atomic_wait32(address(word), i32(value), -1);
}
void wake_all(const std::atomic<u32>& word) { __builtin_wasm_memory_atomic_notify(address(word), ~0u); }

void announce(Pool* pool) {
  open_pool = pool;
  ++changes;
  wake_all(changes);
}

}  // namespace

struct Pool::Threads {
  // A thread is counted as inside before it looks for a pool: either it finds none, or who closes the pool waits for
  // it.
  static void serve_open_pool(u32 thread) {
    ++inside;
    Pool* pool = open_pool;
    if (pool && thread < pool->threads()) pool->serve(thread);
    --inside;
    wake_all(inside);
  }
  static void release(Pool& pool) { pool.close(); }
  static void fail_job(Pool& pool) {
    ++pool.pending_;  // so that nobody begins to wait now
    wake_all(pool.pending_);
  }
};

Pool::Pool(u32 threads) {
  open(threads);
  threads_ = threads;
  if (threads == 1) return;
  CHECK(open_pool == nullptr);
  announce(this);
}

Pool::~Pool() {
  if (threads_ == 1) return;
  announce(nullptr);
  close();
  for (u32 left; (left = inside) > 0;) wait_for_change(inside, left);
}

void Pool::wait(const std::atomic<u32>& word, u32 value) {
  CHECK(!lost);
  wait_for_change(word, value);
}
void Pool::wake(std::atomic<u32>& word) { wake_all(word); }
void Pool::spin() {}
u64 Pool::nanoseconds() { return 0; }

void serve_pools(u32 thread) {
  while (!ended) {
    const u32 seen = changes;
    Pool::Threads::serve_open_pool(thread);
    if (!ended) wait_for_change(changes, seen);
  }
}

void end_threads() {
  ended = true;
  if (Pool* pool = open_pool) Pool::Threads::release(*pool);
  announce(nullptr);
}

void thread_is_lost() {
  lost = true;
  if (Pool* pool = open_pool) Pool::Threads::fail_job(*pool);
}

}  // namespace pronk::cpu
