// Measured choices as a file: an adapter and a state of the kernels, for which they hold, and a line for each choice.
//
//   pronk tuning 1
//   adapter VENDOR ARCHITECTURE DEVICE DRIVER
//   kernels 0123456789abcdef
//   matvec FORMAT 2048x2048 = 32x2x32+subgroups
//   end 1
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "kernels/candidates.h"

namespace pronk::tune {

std::string adapter_name(const gpu::AdapterInfo& adapter);  // with its driver, where the platform tells it; one line

std::string tuning_text(const kernels::Tuning& tuning, const gpu::AdapterInfo& adapter);
// Refuses what is damaged, what another adapter or driver measured, and what other kernels are meant by, each in one
// line.
Result<kernels::Tuning> parse_tuning(std::string_view text, const gpu::AdapterInfo& adapter);

}  // namespace pronk::tune
