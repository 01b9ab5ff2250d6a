#include "cached_source.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "cache.h"
#include "http.h"
#include "whole_check.h"

namespace pronk::cli {

namespace {

void note(const std::string& text) { std::fprintf(stderr, "pronk: %s\n", text.c_str()); }

// "…/resolve/<40 hex digits>/…": a commit, which cannot change.
bool is_fixed_revision(const std::string& url) {
  const std::size_t at = url.find("/resolve/");
  if (at == url.npos) return false;
  const std::string revision = url.substr(at + 9, url.find('/', at + 9) - (at + 9));
  return revision.size() == 40 && revision.find_first_not_of("0123456789abcdef") == revision.npos;
}

class CachedSource final : public ByteSource {
 public:
  CachedSource(const std::string& url, const SourceOptions& options)
      : http_(url),
        entry_(CacheEntry::open(options.cache, url, !options.header_only)),
        keep_(!options.header_only && entry_.writable()),
        md5_(options.md5),
        whole_(entry_.info().complete ? WholeCheck("", "") : WholeCheck(entry_.info().sha256, md5_)) {
    if (!entry_.trouble().empty()) note("no cache: " + entry_.trouble());
  }

  Status open() {
    const EntryInfo info = entry_.info();
    if (info.have == 0 && !info.complete) {
      if (!keep_) return {};
      PRONK_OK(http_.open(0, unknown_size, true));
      return start_entry();
    }
    if (info.complete && is_fixed_revision(http_.url())) return {};
    const Status reached = http_.open(0, 1, !info.complete);
    http_.close();
    if (!reached && !info.complete) return reached;
    if (!reached) note(reached.error().message + "; using the copy in the cache");
    if (!reached || http_.info().matches(info.etag, info.size)) return {};
    if (keep_) return start_entry();  // the file is another one now
    use_entry_ = false;
    return {};
  }

  u64 size() const override {
    const std::optional<u64> known = use_entry_ && entry_.info().size ? entry_.info().size : http_.info().size;
    return known.value_or(unknown_size);
  }

  Result<u64> read(u64 position, std::span<u8> into, u64 until) override {
    u64 got = 0;
    while (got < into.size()) {
      const u64 at = position + got;
      const std::span<u8> rest = into.subspan(got);
      Result<u64> part = use_entry_ && at < entry_.info().have ? read_kept(at, rest) : read_new(at, rest, until);
      if (!part) return part;
      if (*part == 0) break;
      got += *part;
    }
    return got;
  }

  Status finish() override {
    if (!keep_ || entry_.info().complete) return {};
    PRONK_OK(download_to(unknown_size));
    if (!keep_) return {};
    PRONK_OK(check_whole());
    keep_or_note(entry_.complete());
    return {};
  }

 private:
  // From here on the entry is what the server has now.
  Status start_entry() {
    const RemoteInfo& remote = http_.info();
    keep_or_note(entry_.restart(remote.identity(), remote.size, remote.sha256()));
    whole_ = WholeCheck(remote.sha256(), md5_);
    part_ = ~u64{0};
    return {};
  }

  // The load goes on when the folder does not take more.
  void keep_or_note(const Status& done) {
    if (done) return;
    note("the download is no longer kept: " + done.error().message);
    entry_.stop_writing();
    keep_ = false;
  }

  Result<u64> read_kept(u64 position, std::span<u8> into) {
    const u64 part = position / cache_part;
    const u64 bytes = entry_.part_bytes(part);
    if (part != part_ || bytes > part_bytes_) PRONK_OK(load_part(part));
    const u64 offset = position % cache_part, count = std::min<u64>(into.size(), part_bytes_ - offset);
    std::memcpy(into.data(), buffer_.data() + offset, count);
    return count;
  }

  // Into the buffer, checked; a part that is not what was written comes from the server again.
  Status load_part(u64 part) {
    part_ = ~u64{0};
    part_bytes_ = entry_.part_bytes(part);
    buffer_.resize(cache_part);
    const std::span<u8> bytes = std::span(buffer_).first(part_bytes_);
    const Result<bool> good = entry_.read_part(part, bytes);
    if (!good || !*good) PRONK_OK(mend(part, bytes));
    part_ = part;
    whole_.add(part * cache_part, bytes);
    return {};
  }

  Status mend(u64 part, std::span<u8> bytes) {
    const u64 begin = part * cache_part;
    const std::string place = "bytes " + std::to_string(begin) + " to " + std::to_string(begin + bytes.size());
    HttpFile http(http_.url());
    const Result<u64> got = http.read(begin, bytes, begin + bytes.size());
    if (got && *got == bytes.size() && http.info().matches(entry_.info().etag, entry_.info().size)) {
      note("the cache held damaged bytes (" + place + "); they were downloaded again");
      if (entry_.writable()) keep_or_note(entry_.mend_part(part, bytes));
      return {};
    }
    const bool removed = entry_.writable();
    if (removed) entry_.drop();
    keep_ = false;
    return fail("the cache's copy of '" + http_.url() + "' is damaged (" + place + ")" +
                (removed ? " and now removed: " : ": ") +
                (got ? "the file has changed on the server" : got.error().message));
  }

  Result<u64> read_new(u64 position, std::span<u8> into, u64 until) {
    if (use_entry_ && entry_.info().complete) return u64{0};
    if (!keep_) return http_.read(position, into, until);
    PRONK_OK(download_to(position));
    if (!keep_) return http_.read(position, into, until);
    PRONK_TRY(const u64 got, http_.read(position, into, unknown_size));
    keep_bytes(into.first(got));
    return got;
  }

  // Keeps what lies before a position: the entry has no gaps.
  Status download_to(u64 position) {
    std::vector<u8> bytes(std::min<u64>(1 << 20, position - std::min(position, entry_.info().have)));
    while (keep_ && entry_.info().have < position) {
      const u64 have = entry_.info().have;
      PRONK_TRY(const u64 got,
                http_.read(have, std::span(bytes).first(std::min<u64>(bytes.size(), position - have)), unknown_size));
      if (got == 0) break;
      keep_bytes(std::span(bytes).first(got));
    }
    return {};
  }

  void keep_bytes(std::span<const u8> bytes) {
    if (bytes.empty()) return;
    whole_.add(entry_.info().have, bytes);
    keep_or_note(entry_.append(bytes));
  }

  Status check_whole() {
    const EntryInfo& info = entry_.info();
    const std::string name = "'" + http_.url() + "'";
    if (info.size && *info.size != info.have) {
      return fail(name + ": " + std::to_string(info.have) + " bytes came instead of " + std::to_string(*info.size));
    }
    while (whole_.wanted() && whole_.position() < info.have) PRONK_OK(load_part(whole_.position() / cache_part));
    const Status good = whole_.finish(name);
    if (good) return {};
    entry_.drop();
    keep_ = false;
    return fail(good.error().code, good.error().message + "; the download is removed");
  }

  HttpFile http_;
  CacheEntry entry_;
  bool keep_;  // what is downloaded goes to the entry
  std::string md5_;
  WholeCheck whole_;
  bool use_entry_ = true;   // its bytes are those of the server's file
  std::vector<u8> buffer_;  // one part of the entry, checked
  u64 part_ = ~u64{0}, part_bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> open_cached_source(const std::string& url, const SourceOptions& options) {
  auto source = std::make_unique<CachedSource>(url, options);
  PRONK_OK(source->open());
  return source;
}

}  // namespace pronk::cli
