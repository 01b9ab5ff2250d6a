// One thread, in the module without shared memory.
#include "cpu/pool.h"

namespace pronk::cpu {

struct Pool::Threads {};

Pool::Pool(u32) {}
Pool::~Pool() = default;

void Pool::wait(const std::atomic<u32>&, u32) {}
void Pool::wake(std::atomic<u32>&) {}
void Pool::spin() {}
u64 Pool::nanoseconds() { return 0; }

}  // namespace pronk::cpu
