#include "kernels/embedded.h"

#include <algorithm>

#include "base/check.h"

namespace pronk::kernels {

std::string_view wgsl_source(std::string_view name) {
  const auto names = wgsl_names();
  const auto at = std::lower_bound(names.begin(), names.end(), name);
  CHECK(at != names.end() && *at == name);
  return wgsl_sources()[static_cast<std::size_t>(at - names.begin())];
}

}  // namespace pronk::kernels
