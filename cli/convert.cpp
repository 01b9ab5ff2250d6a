// pronk convert: any model that pronk opens from files, as one GGUF file.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/quote.h"
#include "commands.h"
#include "convert/job.h"
#include "file.h"
#include "files/gguf_writer.h"
#include "files_in_turn.h"
#include "formats/additive.h"
#include "hub.h"
#include "made_source.h"
#include "recipes.h"
#include "source.h"

namespace pronk::cli {

namespace {

using files::TensorInfo;

constexpr u64 part_weights = 1 << 16;  // decoded at a time; a whole number of blocks of any format
constexpr u64 part_units = 1 << 15;    // made at a time
constexpr u64 made_bytes = 2 << 20;    // the same, where a unit is no larger

// The bytes of a model's files: mapped, or as they come from a server.
class Bytes {
 public:
  explicit Bytes(std::vector<MappedFile> files) : mapped_(std::move(files)) {}
  explicit Bytes(FilesInTurn files) : remote_(std::move(files)) {}

  // Of a range; they may lie in `space`.
  Result<std::span<const u8>> range(u32 file, u64 offset, u64 bytes, std::vector<u8>& space) {
    if (!remote_) return mapped_[file].bytes().subspan(offset, bytes);
    space.resize(bytes);
    PRONK_OK(remote_->read(file, offset, space, unknown_size));
    return space;
  }
  Status finish() { return remote_ ? remote_->close() : Status(); }

 private:
  std::vector<MappedFile> mapped_;
  std::optional<FilesInTurn> remote_;
};

struct Input {
  files::Gguf gguf;
  std::unique_ptr<Bytes> bytes;
  text::TokenizerFiles tokenizer;  // of a folder that has one
};

std::optional<u64> known(u64 size) { return size == unknown_size ? std::nullopt : std::optional(size); }

// The header of one file after the other of a server.
Result<std::unique_ptr<Bytes>> read_remote(std::vector<FilesInTurn::File> files, const SourceOptions& options,
                                           const HeaderParser& parse) {
  SourceOptions header_options = options;
  header_options.header_only = true;
  for (const auto& [location, md5] : files) {
    PRONK_TRY(const auto file, open_source(location, header_options));
    PRONK_OK(read_header(*file, location, parse));
  }
  return std::make_unique<Bytes>(FilesInTurn(std::move(files), options));
}

Result<std::unique_ptr<Bytes>> read_local(const std::vector<FilesInTurn::File>& files, const HeaderParser& parse) {
  std::vector<MappedFile> mapped;
  for (const auto& [location, md5] : files) {
    PRONK_TRY(MappedFile file, MappedFile::open(location));
    if (const auto added = parse(file.bytes(), file.size()); !added)
      return fail(added.error().code, location + ": " + added.error().message);
    mapped.push_back(std::move(file));
  }
  return std::make_unique<Bytes>(std::move(mapped));
}

Result<Input> open_folder(const std::string& folder, const SourceOptions& options) {
  Input input;
  PRONK_TRY(SmallFiles small, read_small_files(folder, options));
  PRONK_TRY(const auto source, source_of(folder, std::move(small)));
  std::vector<FilesInTurn::File> files;
  for (const std::string& name : source->weight_files())
    files.push_back({folder + name, std::string(source->weight_md5(u32(files.size())))});
  const HeaderParser parse = [&](std::span<const u8> prefix, u64 size) {
    return source->add_header(prefix, known(size));
  };
  PRONK_TRY(input.bytes, is_url(folder) ? read_remote(std::move(files), options, parse) : read_local(files, parse));
  PRONK_TRY(input.gguf, source->header());
  input.tokenizer = source->tokenizer_files();
  return input;
}

Result<Input> open_gguf(const std::string& location, const SourceOptions& options) {
  std::vector<FilesInTurn::File> files;
  for (const std::string& part : part_locations(location)) files.push_back({part});
  std::vector<files::Gguf> headers;
  const HeaderParser parse = [&](std::span<const u8> prefix, u64 size) -> Result<u64> {
    PRONK_TRY(files::GgufPrefix parsed, files::parse_gguf(prefix, known(size)));
    if (parsed.gguf) headers.push_back(std::move(*parsed.gguf));
    return parsed.bytes_needed;
  };
  Input input;
  PRONK_TRY(input.bytes, is_url(location) ? read_remote(std::move(files), options, parse) : read_local(files, parse));
  auto joined = files::join_splits(std::move(headers));
  if (!joined) return fail(location + ": " + joined.error().message);
  input.gguf = std::move(*joined);
  return input;
}

Result<Input> open_input(const std::string& name, const SourceOptions& options) {
  PRONK_TRY(const std::string location, find_location(name, options.cache));
  const std::string folder = folder_of(location);
  return folder.empty() ? open_gguf(location, options) : open_folder(folder, options);
}

struct Job : convert::Job {
  const formats::Format* to = nullptr;                   // of the recipe; null: as the source stores it
  const TensorInfo *books = nullptr, *scales = nullptr;  // of an additive matrix that becomes a plain one
};

class Conversion {
 public:
  Conversion(const Input& model, const Recipe* recipe) : model_(model), recipe_(recipe) {}

  Status plan();
  const std::vector<Job>& jobs() const { return jobs_; }
  Status write(const Job& job, const files::Sink& sink) const;
  Status finish() const { return model_.bytes->finish(); }  // after all of them

 private:
  Status add(const TensorInfo& tensor);
  Status add_additive(const TensorInfo& codes);
  Status write_encoded(const Job& job, const files::Sink& sink) const;
  Status write_additive(const Job& job, const files::Sink& sink) const;
  Result<std::vector<float>> floats(const TensorInfo& tensor) const;
  Result<std::vector<u8>> made(const convert::Part& part, u64 first, u64 units) const;
  Status write_parts(const Job& job, const files::Sink& sink) const;

  const Input& model_;
  const Recipe* recipe_;  // null: as stored
  RecipeModel about_;
  std::vector<Job> jobs_;
};

Status Conversion::plan() {
  about_ = recipe_model(model_.gguf);
  for (const TensorInfo& tensor : model_.gguf.tensors) PRONK_OK(add(tensor));
  return {};
}

Status Conversion::add(const TensorInfo& tensor) {
  const formats::Format* from = formats::find(tensor.type);
  PRONK_TRY(convert::Job stored, convert::job_of(tensor));
  Job job{std::move(stored)};
  if (recipe_ && tensor.name.ends_with(".codes")) return add_additive(tensor);
  if (recipe_ && (tensor.name.ends_with(".codebooks") || tensor.name.ends_with(".scales"))) return {};
  if (recipe_ && tensor.added == 0 && tensor.dims == 2 && tensor.name.ends_with("weight")) {
    if (!from) return fail("tensor " + pronk::quoted(tensor.name) + " has a type that pronk does not read");
    job.to = &recipe_format(*recipe_, about_, tensor.name, tensor.shape[0]);
    if (job.to == from) job.to = nullptr;
    if (job.to) job.type = job.to->ggml_type;
  }
  jobs_.push_back(std::move(job));
  return {};
}

Status Conversion::add_additive(const TensorInfo& codes) {
  const std::string stem = codes.name.substr(0, codes.name.size() - std::string_view("codes").size());
  Job job{{.name = stem + "weight", .tensor = &codes}};
  job.books = model_.gguf.find(stem + "codebooks");
  job.scales = model_.gguf.find(stem + "scales");
  const bool there = job.books && job.scales && codes.dims == 3;
  const auto* format = there ? formats::find_additive(codes.type, codes.shape[0], job.books->shape[0]) : nullptr;
  if (!format || job.scales->weights() != codes.shape[2] || job.books->shape[2] != codes.shape[0])
    return fail("tensor " + pronk::quoted(codes.name) + " has no code books that fit it");
  const u64 cols = codes.shape[1] * job.books->shape[0];
  job.to = &recipe_format(*recipe_, about_, job.name, cols);
  job.type = job.to->ggml_type;
  job.shape = {cols, codes.shape[2]};
  jobs_.push_back(std::move(job));
  return {};
}

Result<std::vector<u8>> Conversion::made(const convert::Part& part, u64 first, u64 units) const {
  const convert::Unit unit = *convert::unit_of(part.making);
  std::vector<u8> space[2];
  const u8* from[2] = {};
  for (u32 i = 0; i < part.inputs.size(); ++i) {
    const auto& [file, offset, bytes] = part.inputs[i];
    const u64 size = unit.of_inputs[i];
    PRONK_TRY(const auto range, model_.bytes->range(file, offset + first * size, units * size, space[i]));
    from[i] = range.data();
  }
  return convert::make(part.making, units, from);
}

// Whole rows at a time where a part is made by rows, else whole blocks.
Status Conversion::write_parts(const Job& job, const files::Sink& sink) const {
  const formats::Format* format = formats::find(job.tensor->type);
  const u64 block = format ? format->block_bytes : 1;
  std::vector<u8> space;
  for (const convert::Part& part : convert::parts_of(*job.tensor)) {
    const convert::Input& input = part.inputs[0];
    const bool copies = part.making.copies();
    const convert::Unit unit = copies ? convert::Unit{u32(block), {u32(block), 0}} : *convert::unit_of(part.making);
    const u64 total = input.bytes / unit.of_inputs[0];
    const u64 most = copies ? made_bytes / block : part_units;
    const u64 units = std::clamp<u64>(made_bytes / unit.bytes / 64 * 64, 1, most);
    for (u64 at = 0, count = 0; at < total; at += count) {
      count = std::min(units, total - at);
      if (copies) {
        PRONK_TRY(const auto bytes, model_.bytes->range(input.file, input.offset + at * block, count * block, space));
        PRONK_OK(sink(bytes));
      } else {
        PRONK_TRY(const std::vector<u8> bytes, made(part, at, count));
        PRONK_OK(sink(bytes));
      }
    }
  }
  return {};
}

Status write_floats(std::span<const float> weights, const formats::Format& to, const files::Sink& sink) {
  std::vector<u8> blocks(weights.size() / to.block_weights * to.block_bytes);
  to.encode(weights.data(), weights.size() / to.block_weights, blocks.data());
  return sink(blocks);
}

Status Conversion::write_encoded(const Job& job, const files::Sink& sink) const {
  const formats::Format& from = *formats::find(job.tensor->type);
  std::vector<float> weights;
  return write_parts(job, [&](std::span<const u8> bytes) -> Status {
    const u64 total = bytes.size() / from.block_bytes * from.block_weights;
    for (u64 at = 0; at < total; at += part_weights) {
      weights.resize(std::min(part_weights, total - at));
      const u64 first = at / from.block_weights, count = weights.size() / from.block_weights;
      from.decode(bytes.data() + first * from.block_bytes, count, weights.data());
      PRONK_OK(write_floats(weights, *job.to, sink));
    }
    return {};
  });
}

Result<std::vector<float>> Conversion::floats(const TensorInfo& tensor) const {
  std::vector<float> out(tensor.weights());
  std::vector<u8> space;
  PRONK_TRY(const auto bytes, model_.bytes->range(tensor.file, tensor.offset, tensor.bytes, space));
  formats::find(tensor.type)->decode(bytes.data(), out.size(), out.data());
  return out;
}

// A row at a time: rows are whole blocks.
Status Conversion::write_additive(const Job& job, const files::Sink& sink) const {
  const TensorInfo& codes = *job.tensor;
  const formats::Format& from = *formats::find_additive(codes.type, codes.shape[0], job.books->shape[0]);
  PRONK_TRY(const std::vector<float> books, floats(*job.books));
  PRONK_TRY(const std::vector<float> scales, floats(*job.scales));
  const formats::AdditiveTables tables{books.data(), scales.data(), u32(job.books->shape[1])};
  std::vector<u8> rows, space;
  if (!job.copied()) {
    PRONK_TRY(rows, made(convert::parts_of(codes)[0], 0, 1));
  }
  const u64 row_bytes = codes.shape[1] * from.block_bytes;
  std::vector<float> weights(job.shape[0]);
  for (u64 row = 0; row < job.shape[1]; ++row) {
    std::span<const u8> at = std::span<const u8>(rows).subspan(rows.empty() ? 0 : row * row_bytes);
    if (rows.empty()) {
      PRONK_TRY(at, model_.bytes->range(codes.file, codes.offset + row * row_bytes, row_bytes, space));
    }
    formats::decode_additive(from, at.data(), codes.shape[1], tables, u32(row), weights.data());
    PRONK_OK(write_floats(weights, *job.to, sink));
  }
  return {};
}

Status Conversion::write(const Job& job, const files::Sink& sink) const {
  if (job.books) return write_additive(job, sink);
  if (job.to) return write_encoded(job, sink);
  return write_parts(job, sink);
}

Status write_metadata(const Input& input, const Recipe* recipe, files::GgufWriter& writer) {
  constexpr std::string_view of_type[] = {"general.file_type", "general.quantization_version"};
  if (recipe) {
    writer.add_u32(of_type[0], recipe->file_type);
    writer.add_u32(of_type[1], 2);
  }
  const std::span<const std::string_view> replaced(of_type, recipe ? 2 : 0);
  return convert::write_metadata(input.gguf.metadata, input.tokenizer, replaced, writer);
}

// To a name of its own beside OUT first, so that OUT is whole or is not there. What is no file (/dev/stdout) is written
// to at once.
Status write_output(const std::string& path, const files::GgufWriter& writer, const Conversion& conversion) {
  std::error_code error;
  const bool plain = !std::filesystem::exists(path, error) || std::filesystem::is_regular_file(path, error);
  const std::string unfinished = plain ? path + ".part" : path;
  PRONK_TRY(OutputFile out, OutputFile::create(unfinished));
  PRONK_OK(writer.write([&](std::span<const u8> bytes) { return out.write(bytes); },
                        [&](u64 i, const files::Sink& sink) { return conversion.write(conversion.jobs()[i], sink); }));
  PRONK_OK(conversion.finish());
  PRONK_OK(out.close());
  if (!plain) return {};
  std::filesystem::rename(unfinished, path, error);
  return error ? fail(path + ": " + error.message()) : Status();
}

Outcome run(const Args& args) {
  const Recipe* recipe = find_recipe(args.text("--type"));
  if (!recipe && args.has("--type")) {
    return bad_usage("pronk convert: --type is " + pronk::quoted(args.text("--type")) + ", not one of " +
                     recipe_names());
  }
  PRONK_TRY(const Input input, open_input(std::string(args.positional(0)), source_options(args)));
  Conversion conversion(input, recipe);
  PRONK_OK(conversion.plan());
  files::GgufWriter writer(input.gguf.alignment);
  PRONK_OK(write_metadata(input, recipe, writer));
  for (const Job& job : conversion.jobs()) writer.add_tensor(job.name, job.type, job.shape);
  PRONK_OK(write_output(std::string(args.positional(1)), writer, conversion));
  return {};
}

constexpr Option options[] = {
    {.name = "--type", .value = "T", .help = "a format such as Q8_0, or a mix such as Q4_K_M; by default as stored"},
    cache_option,
    no_cache_option,
};

}  // namespace

const Command convert_command = {
    .name = "convert",
    .summary = "Writes a folder or a GGUF model as one GGUF file.",
    .positional = "SOURCE OUT",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
