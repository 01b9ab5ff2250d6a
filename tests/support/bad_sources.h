// The hostile and odd files of ../shared/vectors/sources/bad with a verdict for each, which not every machine has.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/files.h"

namespace pronk::test {

struct BadSource {
  std::string path;
  std::string verdict;  // accept, refuse, or either
  std::string why;
};

// Those whose file is in `folder`, which ends in a slash; empty when there are none on this machine.
inline std::vector<BadSource> bad_sources(const std::string& folder) {
  const std::string bad = shared_path("vectors/sources/bad/");
  const auto text = read_file(bad + "index.json");
  std::vector<BadSource> sources;
  if (!text) return sources;
  for (const auto& entry : nlohmann::json::parse(*text)["files"]) {
    const std::string file = entry["file"];
    if (file.starts_with(folder)) sources.push_back({bad + file, entry["verdict"], entry["why"]});
  }
  return sources;
}

// What was made of a source is as its verdict says; `error` is empty when it was accepted.
inline void expect_verdict(const BadSource& source, const std::string& error) {
  if (source.verdict == "accept") EXPECT_EQ(error, "") << source.path << ": " << source.why;
  if (source.verdict == "refuse") EXPECT_NE(error, "") << source.path << ": " << source.why;
  EXPECT_EQ(error.find('\n'), error.npos) << error;
}

}  // namespace pronk::test
