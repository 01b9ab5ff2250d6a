#include "profile.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/quote.h"
#include "profiles_text.h"

namespace pronk::cli {

namespace {

using nlohmann::json;

struct LimitName {
  std::string_view name;
  u64 gpu::Limits::* wide = nullptr;
  u32 gpu::Limits::* narrow = nullptr;
  bool alignment = false;  // less is better
};

constexpr LimitName limit_names[] = {
    {.name = "maxBufferSize", .wide = &gpu::Limits::max_buffer_size},
    {.name = "maxStorageBufferBindingSize", .wide = &gpu::Limits::max_storage_buffer_binding_size},
    {.name = "maxUniformBufferBindingSize", .wide = &gpu::Limits::max_uniform_buffer_binding_size},
    {.name = "maxStorageBuffersPerShaderStage", .narrow = &gpu::Limits::max_storage_buffers_per_shader_stage},
    {.name = "maxComputeWorkgroupStorageSize", .narrow = &gpu::Limits::max_compute_workgroup_storage_size},
    {.name = "maxComputeInvocationsPerWorkgroup", .narrow = &gpu::Limits::max_compute_invocations_per_workgroup},
    {.name = "maxComputeWorkgroupSizeX", .narrow = &gpu::Limits::max_compute_workgroup_size_x},
    {.name = "maxComputeWorkgroupsPerDimension", .narrow = &gpu::Limits::max_compute_workgroups_per_dimension},
    {.name = "minStorageBufferOffsetAlignment",
     .narrow = &gpu::Limits::min_storage_buffer_offset_alignment,
     .alignment = true},
    {.name = "minUniformBufferOffsetAlignment",
     .narrow = &gpu::Limits::min_uniform_buffer_offset_alignment,
     .alignment = true},
};

u64 get(const LimitName& limit, const gpu::Limits& limits) {
  return limit.wide ? limits.*limit.wide : limits.*limit.narrow;
}

void set(const LimitName& limit, gpu::Limits& limits, u64 value) {
  if (limit.wide) {
    limits.*limit.wide = value / 4 * 4;  // as device.h says
  } else {
    limits.*limit.narrow = u32(value);
  }
}

Status read_limits(const json& from, gpu::Limits& limits) {
  const gpu::Limits defaults;
  for (const auto& [name, value] : from.items()) {
    const auto limit = std::find_if(std::begin(limit_names), std::end(limit_names),
                                    [&](const LimitName& each) { return each.name == name; });
    if (limit == std::end(limit_names)) return fail("limit " + pronk::quoted(name) + " is unknown");
    if (!value.is_number_unsigned() || (limit->narrow && value.get<u64>() > ~u32{0}))
      return fail("limit " + name + " is no size");
    set(*limit, limits, value.get<u64>());
    const u64 now = get(*limit, limits), least = get(*limit, defaults);
    if (limit->alignment ? now > least : now < least) return fail("limit " + name + " is worse than WebGPU's default");
  }
  return {};
}

Status read_features(const json& from, gpu::Features& features) {
  for (const json& each : from) {
    const std::string name = each.is_string() ? each.get<std::string>() : "";
    if (name != "shader-f16" && name != "subgroups") return fail("feature " + pronk::quoted(name) + " is unknown");
    (name == "subgroups" ? features.subgroups : features.shader_f16) = true;
  }
  return {};
}

Status read_field(const std::string& key, const json& value, Profile& profile) {
  std::string* text = key == "name"     ? &profile.name
                      : key == "device" ? &profile.device
                      : key == "api"    ? &profile.api
                      : key == "source" ? &profile.source
                                        : nullptr;
  if (text && value.is_string()) {
    *text = value.get<std::string>();
    return {};
  }
  if (key == "limits" && value.is_object()) return read_limits(value, profile.limits);
  if (key == "features" && value.is_array()) return read_features(value, profile.features);
  u32* size = key == "subgroupMinSize"   ? &profile.features.subgroup_min_size
              : key == "subgroupMaxSize" ? &profile.features.subgroup_max_size
                                         : nullptr;
  if (!size || !value.is_number_unsigned() || value.get<u64>() > 128)
    return fail("key " + pronk::quoted(key) + " is wrong or unknown");
  *size = value.get<u32>();
  return {};
}

Result<Profile> read_profile(const json& from) {
  Profile profile;
  if (!from.is_object()) return fail("a profile is no object");
  if (const auto name = from.find("name"); name != from.end()) PRONK_OK(read_field("name", *name, profile));
  for (const auto& [key, value] : from.items()) {
    const Status good = read_field(key, value, profile);
    if (!good) return fail("profile " + pronk::quoted(profile.name) + ": " + good.error().message);
  }
  const bool whole =
      !profile.name.empty() && !profile.device.empty() && !profile.api.empty() && !profile.source.empty();
  if (!whole) return fail("profile " + pronk::quoted(profile.name) + " lacks its name, device, api or source");
  return profile;
}

}  // namespace

Result<std::vector<Profile>> parse_profiles(std::string_view text) {
  const json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return fail("profiles are no JSON list");
  std::vector<Profile> result;
  for (const json& each : list) {
    PRONK_TRY(Profile profile, read_profile(each));
    const bool twice =
        std::any_of(result.begin(), result.end(), [&](const Profile& other) { return other.name == profile.name; });
    if (twice) return fail("profile " + pronk::quoted(profile.name) + " is there twice");
    result.push_back(std::move(profile));
  }
  return result;
}

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> list = [] {
    auto parsed = parse_profiles(profiles_text());
    CHECK(parsed.has_value());  // a test parses the same text
    return std::move(*parsed);
  }();
  return list;
}

Result<Profile> find_profile(std::string_view name) {
  for (const Profile& profile : profiles()) {
    if (profile.name == name) return profile;
  }
  return fail("there is no profile " + pronk::quoted(name) + "; 'pronk plan --profile list' prints them");
}

void print_profiles(bool as_json) {
  if (as_json) {
    const json list = json::parse(profiles_text(), nullptr, false);
    std::puts(list.dump().c_str());
    return;
  }
  for (const Profile& profile : profiles()) {
    const gpu::Limits& limits = profile.limits;
    std::printf("%-20s %-42s %5llu MiB bindings, %5llu MiB buffers, %2u storage buffers, %2u KiB workgroups%s%s\n",
                profile.name.c_str(), profile.device.c_str(),
                static_cast<unsigned long long>(limits.max_storage_buffer_binding_size + 4) >> 20,
                static_cast<unsigned long long>(limits.max_buffer_size + 4) >> 20,
                limits.max_storage_buffers_per_shader_stage, limits.max_compute_workgroup_storage_size >> 10,
                profile.features.shader_f16 ? ", f16" : "", profile.features.subgroups ? ", subgroups" : "");
  }
}

}  // namespace pronk::cli
