// The folder of downloaded files, the same in the npm package: a directory an entry, named by the first 32 hex digits
// of SHA-256(URL). In it: `data`, the file's bytes from the first on; `hashes`, SHA-256 of each part of 4 MiB (of the
// last, shorter one when the file is complete), 32 raw bytes each; `entry.json`, see EntryInfo; while it is written
// `lock`, see cache_lock.h.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "cache_lock.h"
#include "sha256.h"

namespace pronk::cli {

constexpr u64 cache_part = 4 << 20;

// entry.json: these fields and "version": 1.
struct EntryInfo {
  std::string url = {};
  std::string etag = {};         // the server's name for this content; empty (in the file null): it gave none
  std::optional<u64> size = {};  // of the whole file, once known
  std::string sha256 = {};       // of the whole file, 64 hex digits, when the server gives it; else empty (null)
  u64 have = 0;                  // bytes that are here, from the first one on
  bool complete = false;
  bool pinned = false;  // `cache clear` leaves it
  u64 used = 0;         // ms since 1970
};

std::string default_cache_folder();  // $XDG_CACHE_HOME/pronk or ~/.cache/pronk; empty when there is no home
std::string entry_folder(const std::string& cache, const std::string& url);
std::vector<EntryInfo> list_entries(const std::string& cache);  // by time of use, last first
Status delete_entry(const std::string& cache, const std::string& url);
Status clear_cache(const std::string& cache);  // of all that is neither pinned nor in use
Status pin_entry(const std::string& cache, const std::string& url, bool pinned);

// One entry, open. Whoever comes second may read what is there, but not write.
class CacheEntry {
 public:
  // An entry that is damaged beyond use counts as empty. to_write: makes the entry if there is none; if that fails,
  // trouble() says why, and the entry is empty and cannot be written.
  static CacheEntry open(const std::string& cache, const std::string& url, bool to_write);
  CacheEntry(CacheEntry&& other) noexcept;
  CacheEntry& operator=(CacheEntry&&) = delete;
  ~CacheEntry();  // brings entry.json up to date

  const EntryInfo& info() const { return info_; }
  bool writable() const { return lock_ && !stopped_; }
  const std::string& trouble() const { return trouble_; }

  // All that follows but reading needs writable(). restart() forgets all bytes, for the file on the server is another.
  Status restart(std::string etag, std::optional<u64> size, std::string sha256);
  Status append(std::span<const u8> bytes);  // at byte info().have
  Status complete();                         // says that all bytes are here
  void drop();                               // removes the entry
  void stop_writing();                       // after a failed write: entry.json stays as it is

  u64 part_bytes(u64 part) const;  // how many bytes of the part are here
  // Reads part_bytes(part) bytes. False: their hash is not the one that was kept with them.
  Result<bool> read_part(u64 part, std::span<u8> into) const;
  Status mend_part(u64 part, std::span<const u8> bytes);

 private:
  CacheEntry() = default;
  bool open_data(bool to_write);
  Status still_ours() const;
  void load();
  Status save();
  Status put_hash(u64 part, const Digest& digest);
  void forget();

  std::string folder_, trouble_;
  EntryInfo info_;
  std::vector<Digest> hashes_;
  Sha256 tail_;  // of the part that info_.have lies in
  int data_ = -1;
  std::unique_ptr<CacheLock> lock_;  // null: another one writes the entry, or it is only read
  bool stopped_ = false;
  bool dirty_ = false;  // entry.json is behind
};

}  // namespace pronk::cli
