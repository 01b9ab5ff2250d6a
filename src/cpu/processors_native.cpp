// Linux: sched_getaffinity(2), /sys/devices/system/cpu, and the CPU quota of control groups.
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/processors.h"

namespace pronk::cpu {
namespace {

// The first bytes of a file; empty where it cannot be read.
std::string contents(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (!file) return {};
  char text[4096];
  const std::size_t size = std::fread(text, 1, sizeof text, file);
  std::fclose(file);
  return {text, size};
}

// The number that a text begins with, or else.
double number(std::string_view text, double otherwise) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : otherwise;
}

u32 number_in(const std::string& path, u32 otherwise) { return u32(number(contents(path), otherwise)); }

std::vector<Processor> usable_processors() {
  std::vector<Processor> processors;
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return processors;
  for (u32 id = 0; id < CPU_SETSIZE; ++id) {
    if (!CPU_ISSET(id, &usable)) continue;
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(id) + "/";
    // A list such as "3,11" or "3-4": its first is the same for all who share the core.
    processors.push_back({.core = number_in(folder + "topology/thread_siblings_list", id),
                          .capacity = number_in(folder + "cpu_capacity", 0),
                          .frequency = number_in(folder + "cpufreq/cpuinfo_max_freq", 0)});
  }
  return processors;
}

// "QUOTA PERIOD" in microseconds, QUOTA "max" or −1 where there is none: processors, or 0.
double quota_of(const std::string& quota, const std::string& period) {
  const double most = number(quota, 0), of = number(period, 0);
  return most > 0 && of > 0 ? most / of : 0;
}

// The path of this process in a hierarchy of /proc/self/cgroup, whose lines are "ID:CONTROLLERS:PATH".
std::string group_path(std::string_view controllers) {
  const std::string text = contents("/proc/self/cgroup");
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second != line.npos && line.substr(first + 1, second - first - 1) == controllers)
      return std::string(line.substr(second + 1));
    at = end + 1;
  }
  return {};
}

// The least that a group or one above it allows; 0: no bound. A container sees its own group as the root, whatever its
// path.
template <class QuotaOf>
double least_quota(const std::string& root, std::string path, const QuotaOf& quota_at) {
  double least = 0;
  for (;;) {
    const double quota = quota_at(root + path);
    if (quota > 0 && (least == 0 || quota < least)) least = quota;
    if (path.empty()) return least;
    path.resize(std::min(path.rfind('/'), path.size() - 1));
  }
}

double quota() {
  const double unified = least_quota("/sys/fs/cgroup", group_path(""), [](const std::string& group) {
    const std::string text = contents(group + "/cpu.max");
    return quota_of(text, text.substr(std::min(text.find(' ') + 1, text.size())));
  });
  if (unified > 0) return unified;
  std::string path = group_path("cpu,cpuacct");
  if (path.empty()) path = group_path("cpu");
  return least_quota("/sys/fs/cgroup/cpu", path, [](const std::string& group) {
    return quota_of(contents(group + "/cpu.cfs_quota_us"), contents(group + "/cpu.cfs_period_us"));
  });
}

}  // namespace

u32 default_threads() { return threads_for(usable_processors(), quota()); }

}  // namespace pronk::cpu
