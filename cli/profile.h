// Devices that plans can be made for without having them: src/gpu/profiles.json, built in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gpu/device.h"

namespace pronk::cli {

struct Profile {
  std::string name;    // "webgpu-default"
  std::string device;  // what it stands for, in words
  std::string api;     // the browser or library whose limits these are
  std::string source;  // where the figures are published, or "measured" and how
  gpu::Limits limits;
  gpu::Features features;
};

// A list of objects with these fields; limits and features are named as in WebGPU, what is left out is the default. An
// unknown key or a limit that is worse than the default is an error that names it.
Result<std::vector<Profile>> parse_profiles(std::string_view json);
const std::vector<Profile>& profiles();
Result<Profile> find_profile(std::string_view name);
void print_profiles(bool json);

}  // namespace pronk::cli
