// pronk kernels: the WGSL of every kernel that a model needs, for other compilers to look at.
#include <cstdio>
#include <filesystem>

#include "commands.h"
#include "engine.h"
#include "file.h"
#include "gpu/null.h"
#include "tune/tuner.h"

namespace pronk::cli {
namespace {

// "matvec LANES=32 … q4_0" as a file name.
std::string file_name(std::string_view label) {
  std::string name(label);
  for (char& c : name) {
    if (c == ' ' || c == '/') c = '_';
  }
  return name + ".wgsl";
}

Status write(const std::string& path, std::string_view text) {
  PRONK_TRY(OutputFile file, OutputFile::create(path));
  PRONK_OK(file.write({reinterpret_cast<const u8*>(text.data()), text.size()}));
  return file.close();
}

std::unique_ptr<gpu::Device> device_of(const Args& args) {
  gpu::NullOptions device;
  device.features.subgroups = args.text("--variant") == "subgroups";
  device.features.subgroup_min_size = 8;  // enough for every candidate
  device.features.integer_dot_product = device.features.shader_f16 = true;
  device.limits.max_buffer_size = device.limits.max_storage_buffer_binding_size = u64{1} << 40;
  return std::make_unique<gpu::NullDevice>(std::move(device));
}

// The candidate wherever a kernel has it.
Result<std::shared_ptr<const kernels::Tuning>> choose_everywhere(const Model& model, const LoadOptions& options,
                                                                 gpu::Device& device, const std::string& candidate) {
  PRONK_TRY(const auto tuner, tune::Tuner::create(model, options, device, 0));
  auto tuning = std::make_shared<kernels::Tuning>();
  for (const tune::Problem& problem : tuner->problems()) {
    for (const u32 each : problem.candidates) {
      if (kernels::candidate_name(problem.kernel, each) == candidate) tuning->choose(problem.key, candidate);
    }
  }
  if (tuning->choices().empty()) return fail("no kernel of the model has a candidate " + candidate);
  return tuning;
}

Outcome run(const Args& args) {
  PRONK_TRY(EngineChoice choice, engine_choice(args));
  choice.any_model = true;
  choice.source.header_only = true;
  PRONK_TRY(const OpenModel open, open_headers(choice.location, choice.source));
  auto device = device_of(args);
  if (const std::string candidate(args.text("--candidate")); !candidate.empty()) {
    PRONK_TRY(choice.options.tuning, choose_everywhere(*open.model, choice.options, *device, candidate));
  }
  PRONK_TRY(const auto engine, Engine::create(open.model, choice.options, std::move(device)));
  const std::filesystem::path folder(args.text("--dump"));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail("cannot make the folder '" + folder.string() + "': " + error.message());
  const auto& null = static_cast<const gpu::NullDevice&>(*engine->device());
  for (u32 id = 1; id <= null.counters().pipelines_created; ++id) {
    const gpu::PipelineDesc& desc = null.pipeline(gpu::PipelineId(id)).desc;
    PRONK_OK(write((folder / file_name(desc.label)).string(), desc.wgsl));
    std::puts(file_name(desc.label).c_str());
  }
  return {};
}

constexpr Option options[] = {
    {.name = "--dump", .value = "FOLDER", .help = "where to write a file for each kernel", .required = true},
    model_option,
    {.name = "--variant",
     .help = "the optional features of the device (default core: none)",
     .choices = "core|subgroups"},
    {.name = "--candidate",
     .value = "NAME",
     .help = "what `pronk tune` may choose, such as 16x4x32+int8, wherever a kernel has it (default: as untuned)"},
    context_option,
    kv_option,
    kv_values_option,
    budget_option,
    backend_option,
    activations_option,
    threads_option,
    cache_option,
    no_cache_option,
};

}  // namespace

const Command kernels_command = {
    .name = "kernels",
    .summary = "Writes the WGSL of every kernel that a model needs; prints the files' names.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
