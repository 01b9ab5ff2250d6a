// Repositories of Hugging Face, or of a server that answers alike ($PRONK_HF_ENDPOINT).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pronk::cli {

// hf:owner/repo[@revision][:type] or hf:owner/repo[@revision]/path
struct HubName {
  std::string endpoint;  // without a slash at its end
  std::string repo;      // owner/repo
  std::string revision;
  std::string path;  // empty: all of it
  std::string type;  // of a GGUF model, such as Q4_K_M; empty: none is named

  std::string url() const;  // of the file; without a path of the folder, which ends with a slash
};
Result<HubName> parse_hub_name(std::string_view name);

// Which of the files of a repository is its GGUF model: the only one, or the only one of the type that is named, or
// else of Q4_K_M. Of a split model it is the first part. `type` stands in a path as a word; case does not matter.
Result<std::string> choose_gguf(const std::string& repo, std::span<const std::string> paths, std::string_view type);

// resolve_location(), but for repositories as a whole: where one has no folder of weights, or a type is named, it is
// the URL of the GGUF file that is chosen. Asks the hub for its list of files; without one what the cache has of the
// repository is the list, and where that is nothing it is taken for a folder.
Result<std::string> find_location(const std::string& name, const std::string& cache);

// The same for what is in the cache alone, with all files of the model that it has.
Result<std::vector<std::string>> find_cached(const std::string& name, const std::string& cache);

}  // namespace pronk::cli
