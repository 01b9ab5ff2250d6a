#include "made_source.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "convert/plan.h"
#include "sources/folder.h"
#include "sources/tokenizer_files.h"

namespace pronk::cli {

namespace {

constexpr u64 made_bytes = 512 << 10;  // of a tensor that are made at a time, where a unit is no larger

// Files are opened one at a time: a model may have more of them than a process may open.
class MadeSource final : public ByteSource {
 public:
  MadeSource(std::string folder, std::vector<std::string> files, convert::Plan plan, const SourceOptions& options)
      : folder_(std::move(folder)), files_(std::move(files)), plan_(std::move(plan)), options_(options) {}

  u64 size() const override { return plan_.bytes(); }
  Result<u64> read(u64 position, std::span<u8> into, u64 until) override;
  Status finish() override { return close(); }

 private:
  Status read_part(u64 index, u64 within, std::span<u8> into);
  Status make(u64 index, u64 within);
  Status read_file(const convert::Input& input, u64 within, std::span<u8> into);
  Status open(u32 file);
  Status close();

  const std::string folder_;
  const std::vector<std::string> files_;
  const convert::Plan plan_;
  const SourceOptions options_;
  std::unique_ptr<ByteSource> open_;
  u32 open_file_ = 0;
  u64 open_position_ = 0;
  std::vector<u8> made_;  // of a part, from made_start_ of the whole on
  u64 made_start_ = 0;
};

Result<u64> MadeSource::read(u64 position, std::span<u8> into, u64) {
  u64 got = 0;
  while (got < into.size() && position + got < size()) {
    const u64 at = position + got;
    const std::span<u8> rest = into.subspan(got);
    u64 count = 0;
    const u64 after = u64(std::ranges::upper_bound(plan_.offsets, at) - plan_.offsets.begin());
    if (at < plan_.head.size()) {
      count = std::min<u64>(rest.size(), plan_.head.size() - at);
      std::copy_n(plan_.head.data() + at, count, rest.data());
    } else if (after > 0 && at < plan_.offsets[after - 1] + plan_.sizes[after - 1]) {
      const u64 within = at - plan_.offsets[after - 1];
      count = std::min<u64>(rest.size(), plan_.sizes[after - 1] - within);
      PRONK_OK(read_part(after - 1, within, rest.first(count)));
    } else {  // between tensors
      count = std::min<u64>(rest.size(), plan_.offsets[after] - at);
      std::fill_n(rest.data(), count, u8{0});
    }
    got += count;
  }
  return got;
}

Status MadeSource::read_part(u64 index, u64 within, std::span<u8> into) {
  const convert::Part& part = plan_.parts[index];
  if (part.making.copies()) return read_file(part.inputs[0], within, into);
  while (!into.empty()) {
    const u64 at = plan_.offsets[index] + within;
    if (at < made_start_ || at >= made_start_ + made_.size()) PRONK_OK(make(index, within));
    const u64 count = std::min<u64>(into.size(), made_start_ + made_.size() - at);
    std::copy_n(made_.data() + (at - made_start_), count, into.data());
    into = into.subspan(count);
    within += count;
  }
  return {};
}

Status MadeSource::make(u64 index, u64 within) {
  const auto& [making, places] = plan_.parts[index];
  const convert::Unit unit = *convert::unit_of(making);
  const u64 first = within / unit.bytes, all = plan_.sizes[index] / unit.bytes;
  const u64 units = std::min(std::max<u64>(1, made_bytes / unit.bytes), all - first);
  std::vector<u8> bytes[2];
  const u8* inputs[2] = {};
  u32 next = 0;
  for (const convert::Input& input : places) {
    std::vector<u8>& into = bytes[next];
    into.resize(units * unit.of_inputs[next]);
    PRONK_OK(read_file(input, first * unit.of_inputs[next], into));
    inputs[next++] = into.data();
  }
  made_ = convert::make(making, units, inputs);
  made_start_ = plan_.offsets[index] + first * unit.bytes;
  return {};
}

Status MadeSource::read_file(const convert::Input& input, u64 within, std::span<u8> into) {
  const u64 position = input.offset + within, end = input.offset + input.bytes;
  if (!open_ || open_file_ != input.file) PRONK_OK(open(input.file));
  if (open_position_ == 0 && position > 0) {  // what a cache keeps begins with the first byte
    std::vector<u8> skipped(std::min<u64>(position, made_bytes));
    PRONK_TRY(const u64 got, open_->read(0, skipped, end));
    open_position_ = got;
  }
  for (u64 filled = 0; filled < into.size();) {
    PRONK_TRY(const u64 got, open_->read(position + filled, into.subspan(filled), end));
    if (got == 0) return fail(folder_ + files_[input.file] + ": ends at byte " + std::to_string(position + filled));
    filled += got;
    open_position_ = position + filled;
  }
  return {};
}

Status MadeSource::open(u32 file) {
  PRONK_OK(close());
  PRONK_TRY(open_, open_source(folder_ + files_[file], options_));
  open_file_ = file;
  open_position_ = 0;
  return {};
}

Status MadeSource::close() {
  if (!open_) return {};
  const std::unique_ptr<ByteSource> closed = std::move(open_);
  return open_position_ == closed->size() ? closed->finish() : Status();
}

// All names of a folder of this machine.
void add_names(const std::string& folder, sources::Source& source) {
  std::error_code error;
  std::vector<std::string> names;
  if (is_url(folder)) return;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    names.push_back(entry.path().filename().string());
  const std::vector<std::string_view> views(names.begin(), names.end());
  source.add_names(views);
}

}  // namespace

Result<SmallFiles> read_small_files(const std::string& folder, const SourceOptions& options) {
  SmallFiles files;
  const auto add = [&](std::string_view name, bool needed) -> Status {
    PRONK_TRY(std::optional<std::string> contents, read_whole(folder + std::string(name), options, needed));
    if (contents) files.emplace_back(name, std::move(*contents));
    return {};
  };
  const auto firsts = sources::first_file_names();
  for (auto name = firsts.begin(); name != firsts.end() && files.empty(); ++name)
    PRONK_OK(add(*name, *name == firsts.back()));
  if (files.empty()) {
    std::string all;
    for (const std::string_view name : firsts) all.append(all.empty() ? "" : " nor ").append(name);
    return fail(folder + " is no folder of a model: it has neither " + all);
  }
  for (const std::string_view name : sources::other_file_names(files[0].first))
    PRONK_OK(add(name, name == sources::tokenizer_file_names()[0]));
  return files;
}

Result<std::unique_ptr<sources::Source>> source_of(const std::string& folder, SmallFiles files) {
  auto source = sources::folder_source(files[0].first);
  for (auto& [name, contents] : files) {
    if (Status added = source->add_file(name, std::move(contents)); !added)
      return fail(added.error().code, folder + ": " + added.error().message);
  }
  add_names(folder, *source);
  return source;
}

Result<std::unique_ptr<ByteSource>> open_made(const std::string& folder, std::unique_ptr<sources::Source> source,
                                              const SourceOptions& options) {
  SourceOptions header_options = options;
  header_options.header_only = true;
  const std::vector<std::string> files(source->weight_files().begin(), source->weight_files().end());
  for (const std::string& name : files) {
    PRONK_TRY(const auto file, open_source(folder + name, header_options));
    PRONK_OK(read_header(*file, folder + name, [&](std::span<const u8> prefix, u64 size) {
      return source->add_header(prefix, size == unknown_size ? std::nullopt : std::optional(size));
    }));
  }
  auto plan = convert::plan_of(*source);
  if (!plan) return fail(plan.error().code, folder + ": " + plan.error().message);
  return std::make_unique<MadeSource>(folder, files, std::move(*plan), options);
}

}  // namespace pronk::cli
