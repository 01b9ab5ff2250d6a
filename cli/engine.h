// Loads a model from files or servers onto a device and drives the engine with a small native event loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "args.h"
#include "gpu/device.h"
#include "pronk/pronk.h"
#include "source.h"

namespace pronk::cli {

constexpr Option model_option{.name = "-m",
                              .value = "MODEL",
                              .help =
                                  "GGUF file, http(s) URL or hf:owner/repo[@revision]/file.gguf, of a split model any "
                                  "part; or a folder with config.json and safetensors, or of MLC's or AQLM.rs's: its "
                                  "path, its URL with a slash at the end, or hf:owner/repo, of GGUF files also "
                                  "hf:owner/repo:Q4_K_M (default: the model in the box)"};
constexpr Option backend_option{.name = "--backend",
                                .value = "NAME",
                                .help = "auto (the default): webgpu if there is an adapter that is no software",
                                .choices = "auto|webgpu|cpu"};
constexpr Option context_option{
    .name = "--ctx",
    .value = "N|auto",
    .help = "context length (default: the model's, at most 4096); auto: the largest that fits"};
constexpr Option budget_option{
    .name = "--budget",
    .value = "BYTES",
    .help = "most bytes that everything may take, such as 500M or 1.5G (default: what the device allows)"};
constexpr Option kv_option{
    .name = "--kv", .value = "TYPE", .help = "type of the KV cache (default f16)", .choices = "f32|f16|q8_0|q4_0"};
constexpr Option kv_values_option{
    .name = "--kv-v", .value = "TYPE", .help = "type of its values, when another", .choices = "f32|f16|q8_0|q4_0"};

constexpr Option activations_option{
    .name = "--activations",
    .value = "TYPE",
    .help = "what matrices are multiplied by on the CPU: 8-bit integers, or floats as they are (default q8)",
    .choices = "q8|f32"};

constexpr Option threads_option{.name = "--threads",
                                .kind = OptionKind::integer,
                                .value = "N",
                                .help = "threads that work on the CPU (default: one for each of its fast cores)",
                                .minimum = 1,
                                .maximum = 1024,
                                .short_name = "-t"};

// -m, --ctx, --budget, --kv, --activations, --threads, --backend, --cache and --no-cache as given; `scoring` as in
// LoadOptions.
struct EngineChoice {
  std::string location;  // as find_location() gives it
  std::string_view backend;
  bool timestamps = false;  // for gpu::start_timing()
  LoadOptions options;
  std::string tuning_folder;  // where measured choices lie; empty: none are used
  bool any_model = false;     // an encoder, too, though it has no logits
  SourceOptions source;
};
std::expected<EngineChoice, Failure> engine_choice(const Args& args, bool scoring = false);

// The headers of all files of a model, and the files.
struct OpenModel {
  std::shared_ptr<const Model> model;
  std::vector<std::unique_ptr<ByteSource>> files;
};
Result<OpenModel> open_headers(const std::string& location, const SourceOptions& options);
// Null: the CPU, because it was asked for, or because there is no adapter but software (said on stderr).
Result<std::unique_ptr<gpu::Device>> open_device(std::string_view backend, bool timestamps = false);
// Where the choices that were measured on a device lie, in a folder.
std::string tuning_path(const std::string& folder, const gpu::AdapterInfo& adapter);
// What was measured on a device; null: nothing.
std::shared_ptr<const kernels::Tuning> stored_tuning(const std::string& folder, const gpu::AdapterInfo& adapter);
// Loads everything and waits until the engine is ready.
Result<std::unique_ptr<Engine>> open_engine(const EngineChoice& choice);
Result<std::unique_ptr<Engine>> open_engine(const EngineChoice& choice, OpenModel open);

// Waits a little for the device, then pumps. An error when nothing has happened for half an hour.
Status turn(Engine& engine);

// Session::score(); `take` gets all rows in order, some at a time.
Status score(Engine& engine, std::span<const u32> tokens, bool by_steps,
             const std::function<Status(std::span<const float> rows)>& take);

// --tokens 1,2,3
std::expected<std::vector<u32>, Failure> parse_tokens(std::string_view list);  // bad usage when it is anything else

}  // namespace pronk::cli
