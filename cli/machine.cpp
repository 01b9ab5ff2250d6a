#include "machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/pool.h"

namespace pronk::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr u32 attempts = 5;            // the best counts: a neighbour only slows down
constexpr u32 parts_of_a_thread = 16;  // one that is held up leaves some to the others

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The most units a second that the pool makes; work(part) makes some and returns how many.
template <class Work>
double best_rate(cpu::Pool& pool, const Work& work) {
  double best = 0;
  for (u32 i = 0; i < attempts; ++i) {
    std::atomic<u64> made = 0;
    const auto start = Clock::now();
    pool.run(pool.threads() * parts_of_a_thread, [&](u32 part, u32) { made += work(part); });
    best = std::max(best, double(made) / seconds_since(start));
  }
  return best;
}

double read_rate(cpu::Pool& pool) {
  constexpr u64 all_words = u64{32} << 20;
  const std::vector<u64> words(all_words, 1);
  const u64 slice = all_words / (pool.threads() * parts_of_a_thread) / 8 * 8;
  std::atomic<u64> total = 0;
  const double rate = best_rate(pool, [&](u32 part) {
    const u64* from = words.data() + part * slice;
    u64 sums[8] = {};
    for (u64 at = 0; at < slice; at += 8) {
      for (u64 j = 0; j < 8; ++j) sums[j] += from[at + j];
    }
    for (const u64 sum : sums) total += sum;
    return slice * sizeof(u64);
  });
  CHECK(total > 0);
  return rate;
}

}  // namespace

MachineRates measure_machine(u32 threads) {
  constexpr u32 rounds = 200;
  cpu::Pool pool(threads);
  const cpu::Kernels& kernels = cpu::best_kernels();
  MachineRates rates{.threads = pool.threads(), .instruction_set = std::string(kernels.name)};
  rates.read_bytes = read_rate(pool);
  rates.multiply_adds = best_rate(pool, [&](u32) { return kernels.multiply_in_cache(rounds); });
  return rates;
}

}  // namespace pronk::cli
