// Loads a model from files onto a device and drives the engine with a small native event loop.
#pragma once

#include <memory>
#include <string>

#include "args.h"
#include "gpu/device.h"
#include "pronk/pronk.h"

namespace pronk::cli {

constexpr Option model_option{.name = "-m", .value = "FILE", .help = "GGUF model; of a split model any part (default: the model in the box)"};
constexpr Option backend_option{.name = "--backend", .value = "NAME", .help = "default: webgpu if there is an adapter",
                                .choices = "webgpu|cpu"};
constexpr Option context_option{.name = "--ctx", .kind = OptionKind::integer, .value = "N",
                                .help = "context length (default: the model's, at most 4096)", .minimum = 1, .maximum = 1 << 24};
constexpr Option kv_option{.name = "--kv", .value = "TYPE", .help = "type of the KV cache (default f16)", .choices = "f32|f16|q8_0|q4_0"};
constexpr Option kv_values_option{.name = "--kv-v", .value = "TYPE", .help = "type of its values, when another", .choices = "f32|f16|q8_0|q4_0"};

// -m, --ctx, --kv and --backend as given; `scoring` as in LoadOptions.
struct EngineChoice {
  std::string path;
  std::string_view backend;
  LoadOptions options;
};
Result<EngineChoice> engine_choice(const Args& args, bool scoring = false);

// The headers of all files of a model.
Result<std::shared_ptr<const Model>> open_headers(const std::string& path);
// Null: the CPU, because it was asked for, or because there is no adapter (said on stderr).
Result<std::unique_ptr<gpu::Device>> open_device(std::string_view backend);
// Loads everything and waits until the engine is ready.
Result<std::unique_ptr<Engine>> open_engine(const EngineChoice& choice);

// Waits a little for the device, then pumps. An error when nothing has happened for half an hour.
Status turn(Engine& engine);

// --tokens 1,2,3
std::expected<std::vector<u32>, Failure> parse_tokens(std::string_view list);  // bad usage when it is anything else

}  // namespace pronk::cli
