#include "hub.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <vector>

#include "cache.h"
#include "files/gguf.h"
#include "files/json.h"
#include "http.h"
#include "source.h"

namespace pronk::cli {

namespace {

constexpr std::string_view default_type = "Q4_K_M";

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  return result;
}

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// The first part of a split model stands for all. What a terminal would take for commands is no name.
bool is_model(const std::string& path) {
  const std::string all = lower(path);
  if (std::ranges::any_of(path, [](char c) { return u8(c) < 0x20 || c == 0x7f; })) return false;
  const std::string_view name = file_name(all);
  if (!name.ends_with(".gguf") || name.find("mmproj") != name.npos || name.starts_with("imatrix")) return false;
  return files::all_split_names(path)[0] == path;
}

bool is_of_type(const std::string& path, std::string_view type) {
  const std::string text = lower(path), word = lower(type);
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool starts = at == 0 || !is_letter_or_digit(text[at - 1]);
    const bool ends = end == text.size() || !(is_letter_or_digit(text[end]) || text[end] == '_');
    if (starts && ends) return true;
  }
  return false;
}

std::vector<std::string> of_type(std::span<const std::string> models, std::string_view type) {
  std::vector<std::string> found;
  std::ranges::copy_if(models, std::back_inserter(found), [&](const auto& path) { return is_of_type(path, type); });
  return found;
}

std::string joined(std::span<const std::string> names) {
  std::string all;
  for (const std::string& name : names) all.append(all.empty() ? "" : ", ").append(name);
  return all;
}

bool is_weight_folder(std::span<const std::string> paths) {
  return std::ranges::any_of(paths, [](const std::string& path) {
    return path.find('/') == path.npos && (path == "mlc-chat-config.json" || path.ends_with(".safetensors"));
  });
}

Result<std::vector<std::string>> parse_list(std::string text) {
  PRONK_TRY(const files::Json json, files::Json::parse(std::move(text)));
  PRONK_TRY(const files::JsonValue entries, json.root().array());
  std::vector<std::string> paths;
  for (const files::JsonValue entry : entries) {
    PRONK_TRY(const std::string_view kind, entry.string_or("type", "file"));
    PRONK_TRY(const std::string_view path, entry.string_at("path"));
    if (kind == "file") paths.emplace_back(path);
  }
  return paths;
}

// nullopt: the hub gives none.
Result<std::optional<std::vector<std::string>>> list_files(const HubName& name) {
  const std::string url = name.endpoint + "/api/models/" + name.repo + "/tree/" + name.revision + "?recursive=1";
  PRONK_TRY(std::optional<std::string> text, read_whole(url, {}, false));
  if (!text) return std::nullopt;
  auto paths = parse_list(std::move(*text));
  if (!paths) return fail(url + ": " + paths.error().message);
  return std::move(*paths);
}

// What the cache has of it.
Result<std::vector<std::string>> kept_paths(const HubName& name, const std::string& cache) {
  HubName whole = name;
  whole.path = {};
  PRONK_TRY(const std::string folder, normal_url(whole.url()));
  std::vector<std::string> paths;
  for (const EntryInfo& info : list_entries(cache)) {
    if (info.url.starts_with(folder)) paths.push_back(info.url.substr(folder.size()));
  }
  return paths;
}

// In it, or in the folder of a module such as 1_Pooling.
bool is_of_folder(std::string_view path) {
  return path.find('/') == path.npos || (path[0] >= '0' && path[0] <= '9' && path[1] == '_');
}

Result<std::string> choose(HubName hub, std::span<const std::string> paths) {
  if (!hub.type.empty() || !is_weight_folder(paths)) {
    PRONK_TRY(hub.path, choose_gguf(hub.repo, paths, hub.type));
  }
  return normal_url(hub.url());
}

}  // namespace

std::string HubName::url() const { return endpoint + "/" + repo + "/resolve/" + revision + "/" + path; }

Result<HubName> parse_hub_name(std::string_view name) {
  const auto bad = [&] {
    return fail("'" + std::string(name) +
                "' is not hf:owner/repo, hf:owner/repo:TYPE, hf:owner/repo/file.gguf or "
                "hf:owner/repo@revision/file.gguf");
  };
  const std::string_view rest = name.substr(3);
  const std::size_t owner_end = rest.find('/');
  if (owner_end == rest.npos) return bad();
  const std::size_t repo_end = std::min(rest.find('/', owner_end + 1), rest.size());
  HubName hub{.repo = std::string(rest.substr(0, repo_end)), .revision = "main"};
  hub.path = rest.substr(std::min(repo_end + 1, rest.size()));
  const std::size_t colon = std::min(hub.repo.find(':'), hub.repo.size());
  const bool typed = colon < hub.repo.size();
  if (typed) hub.type = hub.repo.substr(colon + 1);
  hub.repo.resize(colon);
  if (const std::size_t at = hub.repo.find('@'); at != hub.repo.npos) {
    hub.revision = hub.repo.substr(at + 1);
    hub.repo.resize(at);
  }
  const bool whole = owner_end > 0 && hub.repo.size() > owner_end + 1 && !hub.revision.empty() &&
                     (hub.path.empty() || hub.path.back() != '/') &&
                     (!typed || (!hub.type.empty() && hub.path.empty()));
  if (!whole || rest.find("..") != rest.npos || rest.find_first_of("?#\\ ") != rest.npos) return bad();
  const char* endpoint = std::getenv("PRONK_HF_ENDPOINT");
  hub.endpoint = endpoint && endpoint[0] ? endpoint : "https://huggingface.co";
  while (hub.endpoint.ends_with('/')) hub.endpoint.pop_back();
  return hub;
}

Result<std::string> choose_gguf(const std::string& repo, std::span<const std::string> paths, std::string_view type) {
  std::vector<std::string> models;
  std::ranges::copy_if(paths, std::back_inserter(models), is_model);
  std::ranges::sort(models);
  if (models.empty()) return fail(repo + " has neither safetensors nor GGUF files");
  std::vector<std::string> fitting = type.empty() ? models : of_type(models, type);
  if (fitting.empty()) return fail(repo + " has no model of type " + std::string(type) + ", only: " + joined(models));
  if (type.empty() && fitting.size() > 1) {
    if (auto usual = of_type(models, default_type); usual.size() == 1) fitting = std::move(usual);
  }
  if (fitting.size() > 1)
    return fail(repo + " has several models" + (type.empty() ? "" : " of type " + std::string(type)) +
                ", name one of them: " + joined(fitting));
  return fitting[0];
}

Result<std::string> find_location(const std::string& name, const std::string& cache) {
  if (!name.starts_with("hf:")) return resolve_location(name);
  PRONK_TRY(const HubName hub, parse_hub_name(name));
  if (!hub.path.empty()) return normal_url(hub.url());
  PRONK_TRY(auto paths, list_files(hub));
  if (!paths && !cache.empty()) {
    PRONK_TRY(std::vector<std::string> kept, kept_paths(hub, cache));
    if (!kept.empty()) paths = std::move(kept);
  }
  if (!paths && !hub.type.empty()) return fail(hub.endpoint + " gives no list of the files of " + hub.repo);
  return paths ? choose(hub, *paths) : normal_url(hub.url());
}

Result<std::vector<std::string>> find_cached(const std::string& name, const std::string& cache) {
  std::string location;
  if (!name.starts_with("hf:")) {
    PRONK_TRY(location, resolve_location(name));
  } else {
    PRONK_TRY(const HubName hub, parse_hub_name(name));
    PRONK_TRY(const std::vector<std::string> paths, kept_paths(hub, cache));
    if (hub.path.empty() && paths.empty()) return fail("the cache has nothing of '" + name + "'");
    PRONK_TRY(location, hub.path.empty() ? choose(hub, paths) : normal_url(hub.url()));
  }
  const std::vector<std::string> parts = part_locations(location);
  std::vector<std::string> urls;
  for (const EntryInfo& info : list_entries(cache)) {
    const bool within = location.ends_with('/') && info.url.starts_with(location);
    if ((within && is_of_folder(info.url.substr(location.size()))) || std::ranges::find(parts, info.url) != parts.end())
      urls.push_back(info.url);
  }
  if (urls.empty()) return fail("the cache has no '" + location + "'");
  return urls;
}

}  // namespace pronk::cli
