// pronk plan: what a model will take, before anything is allocated.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "engine.h"

namespace pronk::cli {

namespace {

nlohmann::ordered_json as_json(const MemoryUse& use) {
  return {{"weights", use.weights}, {"kv_cache", use.kv_cache}, {"activations", use.activations}, {"parameters", use.parameters},
          {"staging", use.staging}, {"readback", use.readback}, {"total", use.total()}};
}

Outcome run(const Args& args) {
  PRONK_TRY(EngineChoice choice, engine_choice(args));
  PRONK_TRY(const auto model, open_headers(choice.path));
  PRONK_TRY(auto device, open_device(choice.backend));
  if (!device) choice.backend = "cpu";
  PRONK_TRY(const Plan plan, model->plan(choice.options, device ? &device->limits() : nullptr, device ? &device->features() : nullptr));
  const MemoryUse& use = plan.memory;
  nlohmann::ordered_json out = as_json(use);
  if (args.flag("--allocate")) {
    device.reset();
    PRONK_TRY(const auto engine, open_engine(choice));
    out["allocated"] = as_json(engine->allocated());
  }
  if (args.flag("--json")) {
    out["context_length"] = plan.context;
    std::puts(out.dump().c_str());
    return {};
  }
  const bool allocated = out.contains("allocated");
  std::printf("context length %u\n%-12s %16s%s\n", plan.context, "", "bytes planned", allocated ? "  bytes allocated" : "");
  for (const auto& [kind, bytes] : as_json(use).items()) {
    std::printf("%-12s %16llu", kind.c_str(), bytes.get<unsigned long long>());
    if (allocated) std::printf(" %16llu", out["allocated"][kind].get<unsigned long long>());
    std::puts("");
  }
  return {};
}

constexpr Option options[] = {
    model_option, context_option, kv_option, kv_values_option, backend_option,
    {.name = "--allocate", .kind = OptionKind::flag, .help = "load the model too, and print what was allocated"},
    {.name = "--json", .kind = OptionKind::flag, .help = "one JSON object"},
};

}  // namespace

const Command plan_command = {
    .name = "plan",
    .summary = "Prints the bytes a model takes, by kind, without loading it.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
