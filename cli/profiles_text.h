// The text of src/gpu/profiles.json, embedded by cmake/profiles.cmake.
#pragma once

#include <string_view>

namespace pronk::cli {

std::string_view profiles_text();

}  // namespace pronk::cli
