// pronk quantize: a GGUF file in another weight format. Which tensors of a mix get more bits follows the field's habit
// (llama.cpp's "_M" files), so that sizes and quality compare.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/quote.h"
#include "commands.h"
#include "file.h"
#include "files/gguf_writer.h"
#include "formats/format.h"

namespace pronk::cli {

namespace {

// A plain format, or a mix: most matrices in `base`, sensitive ones in `more`.
struct Recipe {
  std::string_view name, base, more;
  u32 file_type;  // general.file_type, as llama.cpp numbers them
};

constexpr Recipe recipes[] = {
    {"F16", "F16", "F16", 1},         {"BF16", "BF16", "BF16", 32},   {"Q8_0", "Q8_0", "Q8_0", 7},
    {"Q4_0", "Q4_0", "Q6_K", 2},      {"Q4_1", "Q4_1", "Q6_K", 3},    {"Q5_0", "Q5_0", "Q6_K", 8},
    {"Q5_1", "Q5_1", "Q6_K", 9},      {"Q4_K", "Q4_K", "Q6_K", 14},   {"Q5_K", "Q5_K", "Q6_K", 16},
    {"Q6_K", "Q6_K", "Q6_K", 18},     {"Q4_K_M", "Q4_K", "Q6_K", 15}, {"Q5_K_M", "Q5_K", "Q6_K", 17},
    {"IQ4_NL", "IQ4_NL", "Q6_K", 25}, {"MXFP4", "MXFP4", "Q8_0", 38},
};

std::string recipe_names() {
  std::string names;
  for (const Recipe& recipe : recipes) names += (names.empty() ? "" : "|") + std::string(recipe.name);
  return names;
}

// The layer of "blk.N.…", or -1.
int layer_of(std::string_view name) {
  if (!name.starts_with("blk.")) return -1;
  return std::atoi(std::string(name.substr(4, name.find('.', 4) - 4)).c_str());
}

// First and last eighth of the layers, and every third between.
bool in_sensitive_layer(int layer, int layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

bool wants_more(std::string_view name, const Recipe& recipe, bool tied, int layers) {
  if (name == "output.weight" || (tied && name == "token_embd.weight")) return true;
  const bool sensitive = name.ends_with(".attn_v.weight") || name.ends_with(".ffn_down.weight");
  return recipe.name.ends_with("_M") && sensitive && in_sensitive_layer(layer_of(name), layers);
}

// What a row falls back to when it is not a whole number of blocks.
const formats::Format* fitting(const formats::Format* format, u64 row) {
  for (const std::string_view next : {"Q8_0", "F16"}) {
    if (row % format->block_weights == 0) return format;
    format = formats::find(next);
  }
  return format;
}

struct Job {
  const files::TensorInfo* tensor;
  const formats::Format* from;
  const formats::Format* to;  // equal to from: copied
};

Result<std::vector<Job>> plan_jobs(const ModelFile& model, const Recipe& recipe) {
  const bool tied = model.gguf.find("output.weight") == nullptr;
  int layers = 0;
  for (const auto& tensor : model.gguf.tensors) layers = std::max(layers, layer_of(tensor.name) + 1);
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
    const std::string_view wanted = wants_more(tensor.name, recipe, tied, layers) ? recipe.more : recipe.base;
    const formats::Format* to = formats::find(wanted);
    if (!to || !to->encode) return fail("pronk cannot write " + std::string(wanted) + " yet");
    jobs.push_back({&tensor, from, fitting(to, tensor.shape[0])});
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
  const auto recipe = std::find_if(std::begin(recipes), std::end(recipes),
                                   [&](const Recipe& r) { return r.name == args.text("--type"); });
  if (recipe == std::end(recipes)) {
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
