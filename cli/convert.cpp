// pronk convert: any model that pronk opens from files, as one GGUF file.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/quote.h"
#include "commands.h"
#include "convert/job.h"
#include "file.h"
#include "files/gguf_writer.h"
#include "formats/additive.h"
#include "made_source.h"
#include "recipes.h"
#include "source.h"

namespace pronk::cli {

namespace {

using files::TensorInfo;

constexpr u64 part_weights = 1 << 16;  // decoded at a time; a whole number of blocks of any format
constexpr u64 part_units = 1 << 15;    // made at a time
constexpr u64 made_bytes = 2 << 20;    // the same, where a unit is no larger

struct Input {
  ModelFile model;
  text::TokenizerFiles tokenizer;  // of a folder that has one
};

Result<Input> open_folder(const std::string& folder) {
  Input input;
  if (is_url(folder)) return fail(ErrorCode::unsupported, "convert takes folders of this machine, not " + folder);
  PRONK_TRY(SmallFiles files, read_small_files(folder, {}));
  PRONK_TRY(const auto source, source_of(folder, std::move(files)));
  for (const std::string& name : source->weight_files()) {
    PRONK_TRY(MappedFile file, MappedFile::open(folder + name));
    if (const auto added = source->add_header(file.bytes(), file.size()); !added)
      return fail(added.error().code, folder + name + ": " + added.error().message);
    input.model.files.push_back(std::move(file));
  }
  PRONK_TRY(input.model.gguf, source->header());
  input.tokenizer = source->tokenizer_files();
  return input;
}

Result<Input> open_input(const std::string& name) {
  PRONK_TRY(const std::string location, resolve_location(name));
  if (const std::string folder = folder_of(location); !folder.empty()) return open_folder(folder);
  Input input;
  PRONK_TRY(input.model, open_model(name));
  return input;
}

struct Job : convert::Job {
  const formats::Format* to = nullptr;                   // of the recipe; null: as the source stores it
  const TensorInfo *books = nullptr, *scales = nullptr;  // of an additive matrix that becomes a plain one
};

class Conversion {
 public:
  Conversion(const ModelFile& model, const Recipe* recipe) : model_(model), recipe_(recipe) {}

  Status plan();
  const std::vector<Job>& jobs() const { return jobs_; }
  Status write(const Job& job, const files::Sink& sink) const;

 private:
  Status add(const TensorInfo& tensor);
  Status add_additive(const TensorInfo& codes);
  Status write_encoded(const Job& job, const files::Sink& sink) const;
  Status write_additive(const Job& job, const files::Sink& sink) const;
  std::vector<float> floats(const TensorInfo& tensor) const;
  std::vector<u8> made(const convert::Part& part, u64 first, u64 units) const;
  Status write_parts(const Job& job, const files::Sink& sink) const;

  const ModelFile& model_;
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

std::vector<u8> Conversion::made(const convert::Part& part, u64 first, u64 units) const {
  const convert::Unit unit = *convert::unit_of(part.making);
  const u8* from[2] = {};
  for (u32 i = 0; i < part.inputs.size(); ++i) {
    const convert::Input& input = part.inputs[i];
    from[i] = model_.files[input.file].bytes().data() + input.offset + first * unit.of_inputs[i];
  }
  return convert::make(part.making, units, from);
}

// Whole rows at a time where a part is made by rows.
Status Conversion::write_parts(const Job& job, const files::Sink& sink) const {
  for (const convert::Part& part : convert::parts_of(*job.tensor)) {
    const convert::Input& input = part.inputs[0];
    if (part.making.copies()) {
      PRONK_OK(sink(model_.files[input.file].bytes().subspan(input.offset, input.bytes)));
      continue;
    }
    const convert::Unit unit = *convert::unit_of(part.making);
    const u64 total = input.bytes / unit.of_inputs[0];
    const u64 units = std::clamp<u64>(made_bytes / unit.bytes / 64 * 64, 1, part_units);
    for (u64 at = 0; at < total; at += units) PRONK_OK(sink(made(part, at, std::min(units, total - at))));
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

std::vector<float> Conversion::floats(const TensorInfo& tensor) const {
  std::vector<float> out(tensor.weights());
  formats::find(tensor.type)->decode(model_.bytes(tensor).data(), out.size(), out.data());
  return out;
}

// A row at a time: rows are whole blocks.
Status Conversion::write_additive(const Job& job, const files::Sink& sink) const {
  const TensorInfo& codes = *job.tensor;
  const formats::Format& from = *formats::find_additive(codes.type, codes.shape[0], job.books->shape[0]);
  const std::vector<float> books = floats(*job.books), scales = floats(*job.scales);
  const formats::AdditiveTables tables{books.data(), scales.data(), u32(job.books->shape[1])};
  const std::vector<u8> rows = job.copied() ? std::vector<u8>() : made(convert::parts_of(codes)[0], 0, 1);
  const u8* const first = job.copied() ? model_.bytes(codes).data() : rows.data();
  std::vector<float> weights(job.shape[0]);
  for (u64 row = 0; row < job.shape[1]; ++row) {
    const u8* at = first + row * codes.shape[1] * from.block_bytes;
    formats::decode_additive(from, at, codes.shape[1], tables, u32(row), weights.data());
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
  return convert::write_metadata(input.model.gguf.metadata, input.tokenizer, replaced, writer);
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
  PRONK_TRY(const Input input, open_input(std::string(args.positional(0))));
  Conversion conversion(input.model, recipe);
  PRONK_OK(conversion.plan());
  files::GgufWriter writer(input.model.gguf.alignment);
  PRONK_OK(write_metadata(input, recipe, writer));
  for (const Job& job : conversion.jobs()) writer.add_tensor(job.name, job.type, job.shape);
  PRONK_OK(write_output(std::string(args.positional(1)), writer, conversion));
  return {};
}

constexpr Option options[] = {
    {.name = "--type", .value = "T", .help = "a format such as Q8_0, or a mix such as Q4_K_M; by default as stored"},
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
