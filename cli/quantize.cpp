// pronk quantize: a GGUF file in another weight format.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/quote.h"
#include "commands.h"
#include "file.h"
#include "files/gguf_writer.h"
#include "formats/format.h"
#include "recipes.h"

namespace pronk::cli {

namespace {

struct Job {
  const files::TensorInfo* tensor;
  const formats::Format* from;
  const formats::Format* to;  // equal to from: copied
};

Result<std::vector<Job>> plan_jobs(const ModelFile& model, const Recipe& recipe) {
  const RecipeModel about = recipe_model(model.gguf);
  std::vector<Job> jobs;
  for (const files::TensorInfo& tensor : model.gguf.tensors) {
    const formats::Format* from = formats::find(tensor.type);
    const bool matrix = tensor.dims == 2 && tensor.name.ends_with("weight");
    if (!matrix) {
      jobs.push_back({&tensor, from, from});
      continue;
    }
    if (!from || from->block_weights != 1) {
      return fail("tensor " + quoted(tensor.name) + " is quantized already; give an F32, F16 or BF16 file");
    }
    jobs.push_back({&tensor, from, &recipe_format(recipe, about, tensor.name, tensor.shape[0])});
  }
  return jobs;
}

Status convert(const Job& job, std::span<const u8> bytes, const files::Sink& sink) {
  if (job.from == job.to) return sink(bytes);
  const u64 part = 1 << 16;  // weights; a whole number of blocks of any format
  std::vector<float> weights(part);
  std::vector<u8> blocks(part / job.to->block_weights * job.to->block_bytes);
  const u64 total = job.tensor->weights();
  for (u64 at = 0; at < total; at += part) {
    const u64 count = std::min(part, total - at);
    job.from->decode(bytes.data() + at * job.from->block_bytes, count, weights.data());
    job.to->encode(weights.data(), count / job.to->block_weights, blocks.data());
    PRONK_OK(sink(std::span(blocks).first(count / job.to->block_weights * job.to->block_bytes)));
  }
  return {};
}

Outcome run(const Args& args) {
  const Recipe* recipe = find_recipe(args.text("--type"));
  if (!recipe) {
    return bad_usage("pronk quantize: --type is " + quoted(args.text("--type")) + ", not one of " + recipe_names());
  }
  PRONK_TRY(const ModelFile model, open_model(std::string(args.positional(0))));
  PRONK_TRY(const std::vector<Job> jobs, plan_jobs(model, *recipe));

  files::GgufWriter writer(model.gguf.alignment);
  const files::Metadata& metadata = model.gguf.metadata;
  for (u64 i = 0; i < metadata.size(); ++i) {
    const std::string_view key = metadata.key(i);
    const bool rewritten =
        key == "general.file_type" || key == "general.quantization_version" || key == "general.alignment";
    if (!rewritten && !key.starts_with("split.")) writer.add_entry(metadata.raw(i));
  }
  writer.add_u32("general.file_type", recipe->file_type);
  writer.add_u32("general.quantization_version", 2);
  for (const Job& job : jobs) {
    const auto& shape = job.tensor->shape;
    writer.add_tensor(job.tensor->name, job.to ? job.to->ggml_type : job.tensor->type,
                      std::span(shape).first(job.tensor->dims));
  }
  PRONK_TRY(OutputFile out, OutputFile::create(std::string(args.positional(1))));
  PRONK_OK(writer.write(
      [&](std::span<const u8> bytes) { return out.write(bytes); },
      [&](u64 i, const files::Sink& sink) { return convert(jobs[i], model.bytes(*jobs[i].tensor), sink); }));
  PRONK_OK(out.close());
  return {};
}

constexpr Option options[] = {
    {.name = "--type", .value = "T", .help = "a format such as Q8_0, or a mix such as Q4_K_M", .required = true},
};

}  // namespace

const Command quantize_command = {
    .name = "quantize",
    .summary = "Writes an F32, F16 or BF16 model in a smaller weight format.",
    .positional = "IN OUT",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
