// What there is to choose for a model on a device: the kernels and shapes of its plan, and what measures their
// candidates. Pure data: no device.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/gpu_plan.h"
#include "engine/op_case.h"

namespace pronk::tune {

struct Problem {
  kernels::TunedKernel kernel = kernels::TunedKernel::matvec;
  std::string key;              // as tuning_key() writes it
  std::vector<u32> candidates;  // that the device runs, first what it would run unmeasured
  // A small case with an answer, by one candidate.
  std::function<engine::OpCase(u32 candidate)> check;
  // A case of the model's own size with steps_of() steps for each candidate.
  std::function<engine::OpCase(std::span<const u32> candidates)> timing;

  u32 steps_of(u32 candidate) const;  // two where sums are combined
};

// Those that decide on the speed of decode come first.
std::vector<Problem> problems(const models::Model& model, const engine::GpuPlan& plan, const gpu::Limits& limits,
                              const gpu::Features& features);

}  // namespace pronk::tune
