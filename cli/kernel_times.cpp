#include "kernel_times.h"

#include <algorithm>
#include <set>

namespace pronk::cli {
namespace {

void add(std::vector<KernelTime>& kernels, const gpu::DispatchTime& dispatch) {
  auto at = std::find_if(kernels.begin(), kernels.end(), [&](const auto& k) { return k.kernel == dispatch.kernel; });
  if (at == kernels.end()) at = kernels.insert(at, {.kernel = dispatch.kernel});
  ++at->dispatches;
  at->milliseconds += dispatch.milliseconds;
}

void sort(std::vector<KernelTime>& kernels) {
  std::sort(kernels.begin(), kernels.end(),
            [](const auto& a, const auto& b) { return a.milliseconds > b.milliseconds; });
}

}  // namespace

KernelTimes sum_up(const std::vector<gpu::DispatchTime>& dispatches) {
  std::set<u32> sampling;  // submissions
  for (const gpu::DispatchTime& dispatch : dispatches) {
    if (dispatch.kernel.starts_with("sample_pick")) sampling.insert(dispatch.submission);
  }
  KernelTimes times{.decoded = u32(sampling.size())};
  for (const gpu::DispatchTime& dispatch : dispatches) {
    add(sampling.contains(dispatch.submission) ? times.decode : times.prefill, dispatch);
  }
  sort(times.prefill);
  sort(times.decode);
  return times;
}

double total_ms(const std::vector<KernelTime>& kernels) {
  double sum = 0;
  for (const KernelTime& kernel : kernels) sum += kernel.milliseconds;
  return sum;
}

}  // namespace pronk::cli
