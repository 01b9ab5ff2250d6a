#include "cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"

namespace pronk::cli {

namespace {

namespace fs = std::filesystem;

constexpr u64 most_json_bytes = 64 << 10;
constexpr u64 most_size = u64{1} << 46;  // 64 TiB: 512 MiB of hashes

std::unexpected<Error> os_error(const std::string& path) { return fail(path + ": " + std::strerror(errno)); }

u64 now_ms() {
  return u64(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
                 .count());
}

Status write_all(int file, u64 at, std::span<const u8> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(file, bytes.data(), bytes.size(), off_t(at));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return os_error(path);
    at += u64(done);
    bytes = bytes.subspan(std::size_t(done));
  }
  return {};
}

bool read_all(int file, u64 at, std::span<u8> into) {
  while (!into.empty()) {
    const ssize_t done = ::pread(file, into.data(), into.size(), off_t(at));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += u64(done);
    into = into.subspan(std::size_t(done));
  }
  return true;
}

u64 size_of(int file) {
  struct stat status = {};
  return ::fstat(file, &status) == 0 ? u64(status.st_size) : 0;
}

// Nullopt: not there, or larger than it may be.
std::optional<std::vector<u8>> read_small(const std::string& path, u64 most) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::optional<std::vector<u8>> bytes;
  if (const u64 size = size_of(file); size <= most) {
    bytes.emplace(size);
    if (!read_all(file, 0, *bytes)) bytes.reset();
  }
  ::close(file);
  return bytes;
}

std::optional<EntryInfo> parse_entry(const std::vector<u8>& text) {
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  const auto string = [&](const char* key) {
    const auto at = json.find(key);
    return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  const auto integer = [&](const char* key) -> std::optional<u64> {
    const auto at = json.find(key);
    if (at == json.end() || !at->is_number()) return std::nullopt;
    const double value = at->get<double>();
    return value >= 0 && value < 0x1p53 ? std::optional(u64(value)) : std::nullopt;
  };
  const auto flag = [&](const char* key) {
    const auto at = json.find(key);
    return at != json.end() && at->is_boolean() && at->get<bool>();
  };
  if (!json.is_object() || integer("version") != 1 || string("url").empty() || !integer("have")) return std::nullopt;
  EntryInfo info{.url = string("url"),
                 .etag = string("etag"),
                 .size = integer("size"),
                 .sha256 = string("sha256"),
                 .have = *integer("have"),
                 .complete = flag("complete"),
                 .pinned = flag("pinned"),
                 .used = integer("used").value_or(0)};
  const bool sane = info.have <= info.size.value_or(most_size) && info.size.value_or(0) <= most_size &&
                    (!info.complete || info.size == info.have);
  return sane ? std::optional(info) : std::nullopt;
}

std::optional<EntryInfo> read_entry(const std::string& folder) {
  const auto text = read_small(folder + "/entry.json", most_json_bytes);
  return text ? parse_entry(*text) : std::nullopt;
}

// Replaces the file in one step: a reader sees the old text or the new.
Status write_entry(const std::string& folder, const EntryInfo& info) {
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? nlohmann::json() : nlohmann::json(text);
  };
  const nlohmann::ordered_json json = {{"version", 1},
                                       {"url", info.url},
                                       {"etag", text_or_null(info.etag)},
                                       {"size", info.size ? nlohmann::json(*info.size) : nlohmann::json()},
                                       {"sha256", text_or_null(info.sha256)},
                                       {"have", info.have},
                                       {"complete", info.complete},
                                       {"pinned", info.pinned},
                                       {"used", info.used}};
  const std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::string path = folder + "/entry.json", next = path + "." + std::to_string(::getpid());
  const int file = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return os_error(next);
  Status good = write_all(file, 0, {reinterpret_cast<const u8*>(text.data()), text.size()}, next);
  ::close(file);
  if (good && ::rename(next.c_str(), path.c_str()) != 0) good = os_error(path);
  if (!good) ::unlink(next.c_str());
  return good;
}

// All that is in it but locks and claims to them (cache_lock.h).
void empty_folder(const std::string& folder) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (!at->path().filename().string().starts_with("lock")) fs::remove_all(at->path(), ignored);
  }
}

}  // namespace

std::string default_cache_folder() {
  const char* base = std::getenv("XDG_CACHE_HOME");
  if (base && base[0] == '/') return std::string(base) + "/pronk";
  const char* home = std::getenv("HOME");
  return home && home[0] == '/' ? std::string(home) + "/.cache/pronk" : "";
}

std::string entry_folder(const std::string& cache, const std::string& url) {
  return cache + "/" + hex(sha256({reinterpret_cast<const u8*>(url.data()), url.size()})).substr(0, 32);
}

std::vector<EntryInfo> list_entries(const std::string& cache) {
  std::vector<EntryInfo> entries;
  std::error_code error;
  for (fs::directory_iterator at(cache, error), end; !error && at != end; at.increment(error)) {
    const auto info = read_entry(at->path().string());
    if (info && entry_folder(cache, info->url) == at->path().string()) entries.push_back(*info);
  }
  std::sort(entries.begin(), entries.end(), [](const EntryInfo& a, const EntryInfo& b) { return a.used > b.used; });
  return entries;
}

Status delete_entry(const std::string& cache, const std::string& url) {
  if (!read_entry(entry_folder(cache, url))) return fail("the cache has no '" + url + "'");
  CacheEntry entry = CacheEntry::open(cache, url, true);
  if (!entry.writable())
    return fail("'" + url + "' is in use" + (entry.trouble().empty() ? "" : " (" + entry.trouble() + ")"));
  entry.drop();
  return {};
}

Status clear_cache(const std::string& cache) {
  for (const EntryInfo& info : list_entries(cache)) {
    if (!info.pinned) PRONK_OK(delete_entry(cache, info.url));
  }
  return {};
}

Status pin_entry(const std::string& cache, const std::string& url, bool pinned) {
  auto info = read_entry(entry_folder(cache, url));
  if (!info) return fail("the cache has no '" + url + "'");
  const CacheEntry entry = CacheEntry::open(cache, url, true);
  if (!entry.writable()) return fail("'" + url + "' is in use");
  info = entry.info();
  info->pinned = pinned;
  return write_entry(entry_folder(cache, url), *info);
}

CacheEntry::CacheEntry(CacheEntry&& other) noexcept
    : folder_(std::move(other.folder_)),
      trouble_(std::move(other.trouble_)),
      info_(std::move(other.info_)),
      hashes_(std::move(other.hashes_)),
      tail_(std::move(other.tail_)),
      data_(std::exchange(other.data_, -1)),
      lock_(std::move(other.lock_)),
      stopped_(other.stopped_),
      dirty_(std::exchange(other.dirty_, false)) {}

CacheEntry::~CacheEntry() {
  if (writable() && dirty_) (void)save();
  lock_.reset();
  if (data_ >= 0) ::close(data_);
}

CacheEntry CacheEntry::open(const std::string& cache, const std::string& url, bool to_write) {
  CacheEntry entry;
  entry.folder_ = entry_folder(cache, url);
  entry.info_.url = url;
  if (entry.open_data(to_write)) entry.load();
  return entry;
}

// Takes the lock if the entry may be written, and opens the data file.
bool CacheEntry::open_data(bool to_write) {
  const std::string path = folder_ + "/data";
  if (to_write) {
    Result<std::unique_ptr<CacheLock>> lock = CacheLock::take(folder_);
    if (lock) lock_ = std::move(*lock);
    if (!lock) trouble_ = lock.error().message;
  }
  if (lock_) data_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ && data_ < 0) {
    trouble_ = path + ": " + std::strerror(errno);
    lock_.reset();
  }
  if (data_ < 0) data_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  return data_ >= 0;
}

Status CacheEntry::still_ours() const {
  CHECK(writable());
  return lock_->held() ? Status() : fail(folder_ + ": another program has taken the entry over");
}

void CacheEntry::forget() {
  const bool pinned = info_.pinned;
  info_ = {.url = info_.url, .pinned = pinned};
  hashes_.clear();
  tail_ = {};
}

// What entry.json says, as far as the other two files bear it out.
void CacheEntry::load() {
  const auto noted = read_entry(folder_);
  if (noted && noted->url == info_.url) info_ = *noted;
  const u64 parts = info_.complete ? (info_.have + cache_part - 1) / cache_part : info_.have / cache_part;
  const auto bytes = read_small(folder_ + "/hashes", most_size / cache_part * 32);
  if (parts > 0 && (!bytes || bytes->size() < parts * 32)) forget();
  if (size_of(data_) < info_.have) forget();
  if (info_.have > 0) {
    hashes_.resize(parts);
    if (parts > 0) std::memcpy(hashes_.data(), bytes->data(), parts * 32);
  }
  if (!lock_) return;
  if (!info_.complete) {
    std::vector<u8> tail(info_.have % cache_part);
    if (::ftruncate(data_, off_t(info_.have)) != 0 || !read_all(data_, info_.have - tail.size(), tail)) forget();
    tail_.update(std::span(tail).first(info_.have % cache_part));
  }
  info_.used = now_ms();
  if (info_.have > 0) (void)save();
}

Status CacheEntry::save() {
  PRONK_OK(still_ours());
  PRONK_OK(write_entry(folder_, info_));
  dirty_ = false;
  return {};
}

Status CacheEntry::put_hash(u64 part, const Digest& digest) {
  if (part >= hashes_.size()) hashes_.resize(part + 1);
  hashes_[part] = digest;
  const std::string path = folder_ + "/hashes";
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return os_error(path);
  const Status good = write_all(file, part * digest.size(), digest, path);
  ::close(file);
  return good;
}

Status CacheEntry::restart(std::string etag, std::optional<u64> size, std::string sha256) {
  CHECK(writable());
  forget();
  info_.etag = std::move(etag);
  info_.size = size;
  info_.sha256 = std::move(sha256);
  info_.used = now_ms();
  PRONK_OK(save());  // before the bytes go: what is noted is there at any time
  if (::ftruncate(data_, 0) != 0) return os_error(folder_ + "/data");
  return {};
}

Status CacheEntry::append(std::span<const u8> bytes) {
  CHECK(writable() && !info_.complete);
  PRONK_OK(still_ours());
  while (!bytes.empty()) {
    const u64 room = cache_part - info_.have % cache_part;
    const std::span<const u8> piece = bytes.first(std::min<u64>(room, bytes.size()));
    PRONK_OK(write_all(data_, info_.have, piece, folder_ + "/data"));
    tail_.update(piece);
    dirty_ = true;
    info_.have += piece.size();
    if (piece.size() == room) {
      PRONK_OK(put_hash(info_.have / cache_part - 1, tail_.finish()));
      PRONK_OK(save());
    }
    bytes = bytes.subspan(piece.size());
  }
  return {};
}

Status CacheEntry::complete() {
  PRONK_OK(still_ours());
  if (info_.have % cache_part != 0) PRONK_OK(put_hash(info_.have / cache_part, tail_.finish()));
  if (::fdatasync(data_) != 0) return os_error(folder_ + "/data");
  info_.size = info_.have;
  info_.complete = true;
  return save();
}

void CacheEntry::drop() {
  if (still_ours()) {
    empty_folder(folder_);
    lock_.reset();
    ::rmdir(folder_.c_str());  // fails when another one has begun the entry anew
  }
  stop_writing();
  forget();
}

void CacheEntry::stop_writing() { stopped_ = true; }

u64 CacheEntry::part_bytes(u64 part) const {
  const u64 begin = part * cache_part;
  return begin >= info_.have ? 0 : std::min(cache_part, info_.have - begin);
}

Result<bool> CacheEntry::read_part(u64 part, std::span<u8> into) const {
  const u64 bytes = part_bytes(part);
  CHECK(bytes > 0 && into.size() >= bytes);
  if (!read_all(data_, part * cache_part, into.first(bytes))) return os_error(folder_ + "/data");
  return part >= hashes_.size() || sha256(into.first(bytes)) == hashes_[part];
}

Status CacheEntry::mend_part(u64 part, std::span<const u8> bytes) {
  CHECK(bytes.size() == part_bytes(part));
  PRONK_OK(still_ours());
  PRONK_OK(write_all(data_, part * cache_part, bytes, folder_ + "/data"));
  return part < hashes_.size() ? put_hash(part, sha256(bytes)) : Status();
}

}  // namespace pronk::cli
