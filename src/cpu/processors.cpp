#include "cpu/processors.h"

#include <algorithm>
#include <set>

namespace pronk::cpu {
namespace {

// Whether a processor is one of the fast ones. Capacities are measured: the middle cores of a phone have some 700, the
// small ones 400. Frequencies say less: the small cores of a desktop reach four fifths of the large ones', which
// differ by a twentieth among themselves.
bool is_fast(const Processor& processor, const Processor& best) {
  if (best.capacity > 0 && processor.capacity > 0) return processor.capacity >= best.capacity / 2;
  return processor.frequency == 0 || u64(processor.frequency) * 6 >= u64(best.frequency) * 5;
}

}  // namespace

u32 threads_for(std::span<const Processor> processors, double quota) {
  Processor best;
  for (const Processor& processor : processors) {
    best.capacity = std::max(best.capacity, processor.capacity);
    best.frequency = std::max(best.frequency, processor.frequency);
  }
  std::set<u32> cores;
  for (const Processor& processor : processors) {
    if (is_fast(processor, best)) cores.insert(processor.core);
  }
  const double allowed = quota > 0 ? std::max(1.0, quota) : most_threads;
  return std::clamp(u32(cores.size()), 1u, u32(std::min<double>(allowed, most_threads)));
}

}  // namespace pronk::cpu
