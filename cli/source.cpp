#include "source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cache.h"
#include "cached_source.h"
#include "http.h"
#include "hub.h"
#include "made_source.h"
#include "pronk/pronk.h"
#include "sources/folder.h"
#include "sources/tokenizer_files.h"
#include "whole_check.h"

namespace pronk::cli {

namespace {

class FileSource final : public ByteSource {
 public:
  static Result<std::unique_ptr<ByteSource>> open(const std::string& path) {
    auto source = std::unique_ptr<FileSource>(new FileSource(path));
    const auto os_error = [&] { return fail(path + ": " + std::strerror(errno)); };
    source->descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (source->descriptor_ < 0) return os_error();
    struct stat status = {};
    if (::fstat(source->descriptor_, &status) != 0) return os_error();
    if (!S_ISREG(status.st_mode)) return fail(path + ": not a regular file");
    source->size_ = u64(status.st_size);
    return source;
  }
  ~FileSource() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  u64 size() const override { return size_; }

  Result<u64> read(u64 position, std::span<u8> into, u64) override {
    u64 got = 0;
    while (got < into.size()) {
      const ssize_t part = ::pread(descriptor_, into.data() + got, into.size() - got, off_t(position + got));
      if (part < 0 && errno == EINTR) continue;
      if (part < 0) return fail(path_ + ": " + std::strerror(errno));
      if (part == 0) break;
      got += u64(part);
    }
    return got;
  }

  Result<std::shared_ptr<const MappedFile>> map() override {
    PRONK_TRY(MappedFile file, MappedFile::of(descriptor_, path_));
    if (file.size() != size_) return fail(path_ + ": has changed its size while it was read");
    file.read_ahead();
    return std::make_shared<const MappedFile>(std::move(file));
  }

 private:
  explicit FileSource(std::string path) : path_(std::move(path)) {}
  std::string path_;
  int descriptor_ = -1;
  u64 size_ = 0;
};

class UrlSource final : public ByteSource {
 public:
  UrlSource(const std::string& url, const std::string& md5) : http_(url), whole_("", md5) {}
  u64 size() const override { return http_.info().size.value_or(unknown_size); }
  void keep_prefix(std::vector<u8> bytes) override { prefix_ = std::move(bytes); }

  Result<u64> read(u64 position, std::span<u8> into, u64 until) override {
    u64 got = position < prefix_.size() ? std::min<u64>(into.size(), prefix_.size() - position) : 0;
    if (got > 0) std::copy_n(prefix_.data() + position, got, into.data());
    while (got < into.size()) {
      prefix_ = {};
      PRONK_TRY(const u64 part, http_.read(position + got, into.subspan(got), until));
      if (part == 0) break;
      got += part;
    }
    whole_.add(position, into.first(got));
    return got;
  }

  // What was not read is not fetched for this.
  Status finish() override { return whole_.position() == size() ? whole_.finish(http_.url()) : Status(); }

 private:
  std::vector<u8> prefix_;
  HttpFile http_;
  WholeCheck whole_;
};

}  // namespace

std::string cache_folder(const Args& args) {
  const std::string_view folder = args.text("--cache");
  return folder.empty() ? default_cache_folder() : std::filesystem::absolute(folder).lexically_normal().string();
}

SourceOptions source_options(const Args& args) {
  if (args.flag("--no-cache")) return {};
  return {.cache = cache_folder(args)};
}

bool is_url(const std::string& location) { return location.starts_with("http://") || location.starts_with("https://"); }

Result<std::string> resolve_location(const std::string& name) {
  if (name.starts_with("hf:")) {
    PRONK_TRY(const HubName hub, parse_hub_name(name));
    if (!hub.type.empty()) return fail("'" + name + "' names no file");
    return normal_url(hub.url());
  }
  const std::size_t colon = name.find("://");
  if (colon == name.npos || name.find('/') < colon) return name;
  return normal_url(name);
}

std::vector<std::string> part_locations(const std::string& location) {
  const std::size_t end = is_url(location) ? std::min(location.find('?'), location.size()) : location.size();
  const std::size_t slash = location.rfind('/', end - std::min<std::size_t>(end, 1));
  const std::size_t begin = slash == location.npos ? 0 : slash + 1;
  std::vector<std::string> parts;
  for (const std::string& name : split_file_names(location.substr(begin, end - begin))) {
    parts.push_back(location.substr(0, begin) + name + location.substr(end));
  }
  return parts;
}

std::string folder_of(const std::string& location) {
  std::error_code error;
  if (is_url(location) ? location.ends_with('/') : std::filesystem::is_directory(location, error))
    return location.ends_with('/') ? location : location + "/";
  const std::size_t name = location.rfind('/') + 1;  // 0 when there is no slash
  const std::string_view file = std::string_view(location).substr(name);
  const auto files = Model::folder_files(), firsts = sources::first_file_names();
  if (std::find(files.begin(), files.end(), file) == files.end() &&
      std::find(firsts.begin(), firsts.end(), file) == firsts.end())
    return {};
  return name == 0 ? "./" : location.substr(0, name);
}

namespace {

// Why a server's file could not be opened: whether there is none, or nobody answers.
struct Absence {
  bool missing = false, unreachable = false;
};
Absence look_for(const std::string& url) {
  HttpFile http(url);
  if (http.open(0, 1, false)) return {};
  const long status = http.status();
  return {.missing = status == 403 || status == 404 || status == 410, .unreachable = status == 0};
}

Result<std::string> read_text(const std::string& location, const SourceOptions& options) {
  constexpr u64 largest = 256 << 20, part = 1 << 20;
  PRONK_TRY(const auto source, open_source(location, options));
  std::string text;
  for (u64 got = part; got > 0;) {
    const u64 have = text.size();
    if (have > largest) return fail(location + ": larger than 256 MiB");
    text.resize(have + part);
    PRONK_TRY(got, source->read(have, {reinterpret_cast<u8*>(text.data()) + have, part}, unknown_size));
    text.resize(have + got);
  }
  PRONK_OK(source->finish());
  return text;
}

}  // namespace

Result<std::optional<std::string>> read_whole(const std::string& location, const SourceOptions& options, bool needed) {
  std::error_code error;
  if (!is_url(location) && !std::filesystem::exists(location, error) && !error) return std::nullopt;
  auto text = read_text(location, options);
  if (!text && is_url(location)) {
    const Absence absence = look_for(location);
    if (absence.missing || (absence.unreachable && !needed)) return std::nullopt;
  }
  if (!text) return std::unexpected(text.error());
  return std::move(*text);
}

Result<std::unique_ptr<ByteSource>> open_source(const std::string& location, const SourceOptions& options) {
  if (!is_url(location)) return FileSource::open(location);
  if (options.cache.empty()) return std::make_unique<UrlSource>(location, options.md5);
  return open_cached_source(location, options);
}

Status read_header(ByteSource& source, const std::string& name, const HeaderParser& parse) {
  constexpr u64 first_part = 512 << 10, part = 2 << 20;
  std::vector<u8> prefix;
  for (u64 needed = std::min(source.size(), first_part); needed > 0;) {
    const u64 have = prefix.size();
    prefix.resize(std::min(needed, std::max(have + part, have / 4 * 5)));
    PRONK_TRY(const u64 got, source.read(have, std::span(prefix).subspan(have), prefix.size()));
    const bool ended = have + got < prefix.size() || have + got == source.size();
    prefix.resize(have + got);
    const Result<u64> more = parse(prefix, ended ? prefix.size() : source.size());
    if (!more) return fail(name + ": " + more.error().message);
    if (*more > 0 && ended) return fail("'" + name + "' ends within its header");
    needed = *more;
  }
  if (prefix.empty()) return fail("'" + name + "' is empty");
  source.keep_prefix(std::move(prefix));
  return {};
}

Result<files::Gguf> read_gguf(const std::string& name, const SourceOptions& options) {
  PRONK_TRY(const std::string location, find_location(name, options.cache));
  const std::string first = part_locations(location)[0];
  PRONK_TRY(const auto source, open_source(first, options));
  files::Gguf gguf;
  PRONK_OK(read_header(*source, first, [&](std::span<const u8> prefix, u64 size) -> Result<u64> {
    PRONK_TRY(files::GgufPrefix parsed,
              files::parse_gguf(prefix, size == unknown_size ? std::nullopt : std::optional(size)));
    if (parsed.gguf) gguf = std::move(*parsed.gguf);
    return parsed.bytes_needed;
  }));
  return gguf;
}

Result<text::Tokenizer> read_tokenizer(const std::string& name, const SourceOptions& options) {
  PRONK_TRY(const std::string location, find_location(name, options.cache));
  const std::string folder = folder_of(location);
  if (folder.empty()) {
    PRONK_TRY(const files::Gguf file, read_gguf(name, options));
    return text::Tokenizer::from_metadata(file.metadata);
  }
  text::TokenizerFiles files;
  for (const std::string_view file : sources::tokenizer_file_names()) {
    const bool needed = file == sources::tokenizer_file_names()[0];
    PRONK_TRY(std::optional<std::string> contents, read_whole(folder + std::string(file), options, needed));
    if (contents) *sources::tokenizer_file(files, file) = std::move(*contents);
  }
  if (files.tokenizer.empty()) {  // a folder of AQLM.rs, or none
    PRONK_TRY(SmallFiles small, read_small_files(folder, options));
    PRONK_TRY(const auto source, source_of(folder, std::move(small)));
    files = source->tokenizer_files();
  }
  auto tokenizer = sources::tokenizer_of(files);
  if (!tokenizer) return fail(tokenizer.error().code, folder + ": " + tokenizer.error().message);
  if (tokenizer->vocab_size() == 0) return fail(folder + " has no tokenizer.json");
  return tokenizer;
}

}  // namespace pronk::cli
