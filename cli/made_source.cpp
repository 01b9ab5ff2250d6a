#include "made_source.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>

#include "convert/plan.h"
#include "files_in_turn.h"
#include "http.h"
#include "sources/folder.h"
#include "sources/tokenizer_files.h"

namespace pronk::cli {

namespace {

constexpr u64 made_bytes = 512 << 10;  // of a tensor that are made at a time, where a unit is no larger

// How far each input's file is read on from there without a jump, so that inputs that follow each other are asked for
// at once.
std::vector<std::array<u64, 2>> run_ends(const std::vector<convert::Part>& parts) {
  struct Next {
    u64 offset = 0, end = 0;
  };
  std::map<u32, Next> nexts;  // of each file, what is read after that
  std::vector<std::array<u64, 2>> ends(parts.size());
  for (u64 part = parts.size(); part-- > 0;) {
    for (u64 i = parts[part].inputs.size(); i-- > 0;) {
      const auto& [file, offset, bytes] = parts[part].inputs[i];
      Next& next = nexts[file];
      const bool follows = next.offset >= offset + bytes && next.offset - offset - bytes <= near_bytes;
      ends[part][i] = follows ? next.end : offset + bytes;
      next = {offset, ends[part][i]};
    }
  }
  return ends;
}

class MadeSource final : public ByteSource {
 public:
  MadeSource(FilesInTurn files, convert::Plan plan)
      : files_(std::move(files)), plan_(std::move(plan)), ends_(run_ends(plan_.parts)) {}

  u64 size() const override { return plan_.bytes(); }
  void keep_prefix(std::vector<u8> bytes) override { prefix_ = std::move(bytes); }
  Result<u64> read(u64 position, std::span<u8> into, u64 until) override;
  Status finish() override { return files_.close(); }

 private:
  Status read_part(u64 index, u64 within, std::span<u8> into);
  Status make(u64 index, u64 within);
  Status read_input(u64 part, u64 input, u64 within, std::span<u8> into);

  FilesInTurn files_;
  const convert::Plan plan_;
  const std::vector<std::array<u64, 2>> ends_;  // of each part's inputs
  std::vector<u8> prefix_;                      // read for the header
  std::vector<u8> made_;                        // of a part, from made_start_ of the whole on
  u64 made_start_ = 0;
};

Result<u64> MadeSource::read(u64 position, std::span<u8> into, u64) {
  u64 got = position < prefix_.size() ? std::min<u64>(into.size(), prefix_.size() - position) : 0;
  if (got > 0) std::copy_n(prefix_.data() + position, got, into.data());
  if (got < into.size()) prefix_ = {};
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
  if (part.making.copies()) return read_input(index, 0, within, into);
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
  for (u64 i = 0; i < places.size(); ++i) {
    bytes[i].resize(units * unit.of_inputs[i]);
    PRONK_OK(read_input(index, i, first * unit.of_inputs[i], bytes[i]));
    inputs[i] = bytes[i].data();
  }
  made_ = convert::make(making, units, inputs);
  made_start_ = plan_.offsets[index] + first * unit.bytes;
  return {};
}

Status MadeSource::read_input(u64 part, u64 input, u64 within, std::span<u8> into) {
  const convert::Input& from = plan_.parts[part].inputs[input];
  return files_.read(from.file, from.offset + within, into, ends_[part][input]);
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
  for (u64 i = 0; i < files.size(); ++i) {
    for (const std::string_view name : sources::named_files(files[i].first, files[i].second)) PRONK_OK(add(name, true));
  }
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
  std::vector<FilesInTurn::File> files;
  for (const std::string& name : source->weight_files()) files.push_back({folder + name});
  for (const auto& [name, md5] : files) {
    PRONK_TRY(const auto file, open_source(name, header_options));
    PRONK_OK(read_header(*file, name, [&](std::span<const u8> prefix, u64 size) {
      return source->add_header(prefix, size == unknown_size ? std::nullopt : std::optional(size));
    }));
  }
  auto plan = convert::plan_of(*source);
  if (!plan) return fail(plan.error().code, folder + ": " + plan.error().message);
  return std::make_unique<MadeSource>(FilesInTurn(std::move(files), options), std::move(*plan));
}

}  // namespace pronk::cli
