// Leaves out of WGSL what an `if` on constants never runs, and the `if` itself, and writes out loops of one round, or
// of two without a loop inside: a driver compiles that text sooner, which would find out for itself, but step by step.
// Constants are those of the text's top level; whatever is not known or not understood stays as it is.
#pragma once

#include <string>
#include <string_view>

#include "gpu/device.h"

namespace pronk::kernels {

std::string fold_control_flow(std::string_view text);
// A pipeline as it is compiled. Launches do not do it: a plan has thousands of them with one text.
gpu::PipelineDesc folded(gpu::PipelineDesc pipeline);

}  // namespace pronk::kernels
