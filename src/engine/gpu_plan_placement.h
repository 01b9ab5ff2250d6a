// Gives the activations of a draft their places in memory: each is alive from the first dispatch that binds it to the
// last.
#pragma once

#include "engine/gpu_plan_lowering.h"

namespace pronk::engine {

// Adds the activations' buffers and the programs to the plan.
Status place_activations(const Draft& draft, const gpu::Limits& limits, GpuPlan& plan);

}  // namespace pronk::engine
