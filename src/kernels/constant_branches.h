// Leaves out of WGSL what an `if` on constants never runs, and the `if` itself: a driver compiles that text sooner.
// Constants are those of the text's top level; whatever is not known or not understood stays as it is.
#pragma once

#include <string>
#include <string_view>

namespace pronk::kernels {

std::string without_constant_branches(std::string_view text);

}  // namespace pronk::kernels
