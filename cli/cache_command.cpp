// pronk cache: what is in the folder of downloads.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cache.h"
#include "commands.h"
#include "hub.h"
#include "source.h"

namespace pronk::cli {

namespace {

void list(const std::string& folder, bool json) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const EntryInfo& info : list_entries(folder)) {
    const double percent = info.size.value_or(0) > 0 ? 100.0 * double(info.have) / double(*info.size) : 0;
    if (json) {
      out.push_back({{"url", info.url},
                     {"bytes", info.have},
                     {"size", info.size ? nlohmann::json(*info.size) : nlohmann::json()},
                     {"complete", info.complete},
                     {"pinned", info.pinned},
                     {"used", info.used}});
    } else {
      std::printf("%14llu %5.1f %% %s %s\n", static_cast<unsigned long long>(info.have),
                  info.complete ? 100.0 : percent, info.pinned ? "pinned" : "      ", info.url.c_str());
    }
  }
  if (json) std::puts(out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

u64 bytes_of(const std::string& folder) {
  u64 bytes = 0;
  for (const EntryInfo& info : list_entries(folder)) bytes += info.have;
  return bytes;
}

Outcome run(const Args& args) {
  const std::string_view action = args.positional(0);
  const std::string folder = cache_folder(args);
  if (folder.empty()) return fail("there is no cache folder: neither --cache, nor $XDG_CACHE_HOME, nor $HOME is given");
  const bool wants_url = action == "delete" || action == "pin" || action == "unpin";
  if (!wants_url && action != "list" && action != "size" && action != "clear") {
    return bad_usage("pronk cache: ACTION is one of list|size|delete|clear|pin|unpin");
  }
  if (wants_url == args.positional(1).empty()) {
    return bad_usage("pronk cache " + std::string(action) +
                     (wants_url ? ": MODEL is missing" : ": unexpected argument"));
  }
  if (action == "list") list(folder, args.flag("--json"));
  if (action == "size") std::printf("%llu\n", static_cast<unsigned long long>(bytes_of(folder)));
  if (action == "clear") PRONK_OK(clear_cache(folder));
  if (wants_url) {
    PRONK_TRY(const std::vector<std::string> urls, find_cached(std::string(args.positional(1)), folder));
    for (const std::string& url : urls)
      PRONK_OK(action == "delete" ? delete_entry(folder, url) : pin_entry(folder, url, action == "pin"));
  }
  return {};
}

constexpr Option options[] = {
    {.name = "--cache", .value = "DIR", .help = "the folder (default $XDG_CACHE_HOME/pronk or ~/.cache/pronk)"},
    {.name = "--json", .kind = OptionKind::flag, .help = "list: one JSON array"},
};

}  // namespace

const Command cache_command = {
    .name = "cache",
    .summary = "Downloads that are kept: list, size, delete MODEL, clear (all but pinned), pin MODEL, unpin MODEL.",
    .positional = "ACTION [MODEL]",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
