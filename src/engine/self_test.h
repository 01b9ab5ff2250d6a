// A moment of arithmetic at load: every kernel that a plan has, on small made-up numbers, against the CPU.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "engine/gpu_plan.h"
#include "engine/op_run.h"

namespace pronk::engine {

// Cases that together use each pipeline of the plan, and no other. features: those that it was made for.
std::vector<OpCase> self_test_cases(const models::Model& model, const GpuPlan& plan, const gpu::Limits& limits,
                                    const gpu::Features& features);

// The error of the case that is furthest beyond its tolerance; it names the kernels and the adapter.
Status self_test_verdict(const OpRun& run, const gpu::AdapterInfo& adapter);

}  // namespace pronk::engine
