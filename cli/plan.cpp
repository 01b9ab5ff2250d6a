// pronk plan: what a model will take, before anything is allocated, or even downloaded.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "engine.h"
#include "profile.h"

namespace pronk::cli {

namespace {

constexpr int does_not_fit = 3;  // exit status

nlohmann::ordered_json as_json(const MemoryUse& use) {
  return {{"weights", use.weights},       {"kv_cache", use.kv_cache}, {"activations", use.activations},
          {"parameters", use.parameters}, {"staging", use.staging},   {"readback", use.readback},
          {"total", use.total()}};
}

// What is planned for: a profile, this machine's adapter, or the CPU (no limits).
struct Target {
  std::string name;
  std::optional<Profile> profile;
  std::unique_ptr<gpu::Device> device;

  const gpu::Limits* limits() const { return profile ? &profile->limits : device ? &device->limits() : nullptr; }
  const gpu::Features* features() const {
    return profile ? &profile->features : device ? &device->features() : nullptr;
  }
};

Result<Target> choose_target(const Args& args, EngineChoice& choice) {
  Target target;
  if (args.has("--profile")) {
    PRONK_TRY(target.profile, find_profile(args.text("--profile")));
    target.name = target.profile->name;
    return target;
  }
  PRONK_TRY(target.device, open_device(choice.backend));
  if (!target.device) choice.backend = "cpu";
  target.name = "the CPU";
  if (target.device) {
    const gpu::AdapterInfo& info = target.device->info();
    target.name = info.device.empty() ? info.description : info.device;
    choice.options.tuning = stored_tuning(choice.tuning_folder, info);
  }
  return target;
}

void print_table(const nlohmann::ordered_json& out, const Plan& plan, const Model& model, const std::string& target) {
  const bool allocated = out.contains("allocated");
  std::printf("%.*s, %.1f million weights, on %s\n", int(model.architecture().size()), model.architecture().data(),
              double(model.parameter_count()) / 1e6, target.c_str());
  std::printf("context length %u (trained for %u)\n", plan.context, model.trained_context());
  std::printf("%-12s %16s%s\n", "", "bytes planned", allocated ? "  bytes allocated" : "");
  for (const auto& [kind, bytes] : as_json(plan.memory).items()) {
    std::printf("%-12s %16llu", kind.c_str(), bytes.get<unsigned long long>());
    if (allocated) std::printf(" %16llu", out["allocated"][kind].get<unsigned long long>());
    if (kind == "activations" && plan.activations_lower_bound > 0) {
      std::printf("  (at least %llu are alive at one time)",
                  static_cast<unsigned long long>(plan.activations_lower_bound));
    }
    std::puts("");
  }
  if (plan.largest_context > 0) std::printf("largest context length that fits: %u\n", plan.largest_context);
  if (plan.fits()) std::puts("it fits");
}

Outcome run(const Args& args) {
  if (args.text("--profile") == "list") {
    print_profiles(args.flag("--json"));
    return {};
  }
  if (args.has("--profile") && (args.has("--backend") || args.flag("--allocate"))) {
    return bad_usage("pronk plan: --profile goes neither with --backend nor with --allocate");
  }
  PRONK_TRY(EngineChoice choice, engine_choice(args));
  choice.any_model = true;
  const bool allocate = args.flag("--allocate");
  SourceOptions source = choice.source;
  source.header_only = true;
  PRONK_TRY(const OpenModel open, open_headers(choice.location, source));
  const Model& model = *open.model;
  PRONK_TRY(Target target, choose_target(args, choice));
  PRONK_TRY(const Plan plan, model.plan(choice.options, target.limits(), target.features()));
  nlohmann::ordered_json out = as_json(plan.memory);
  if (allocate && plan.fits()) {
    target.device.reset();
    PRONK_TRY(const auto engine, open_engine(choice));
    out["allocated"] = as_json(engine->allocated());
  }
  if (args.flag("--json")) {
    out["activations_lower_bound"] = plan.activations_lower_bound;
    out["context_length"] = plan.context;
    out["trained_context"] = model.trained_context();
    out["largest_context"] = plan.largest_context;
    out["budget"] = choice.options.budget > 0 ? nlohmann::json(choice.options.budget) : nlohmann::json();
    out["device"] = target.name;
    out["fits"] = plan.fits();
    out["refusal"] = plan.fits() ? nlohmann::json() : nlohmann::json(plan.refusal);
    std::puts(out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    print_table(out, plan, model, target.name);
  }
  if (plan.fits()) return {};
  std::fflush(stdout);
  return std::unexpected(Failure(plan.refusal, does_not_fit));
}

constexpr Option options[] = {
    model_option,
    context_option,
    budget_option,
    kv_option,
    kv_values_option,
    activations_option,
    threads_option,
    backend_option,
    {.name = "--profile", .value = "NAME", .help = "plan for this device instead of the machine's; 'list' prints them"},
    {.name = "--allocate", .kind = OptionKind::flag, .help = "load the model too, and print what was allocated"},
    {.name = "--json", .kind = OptionKind::flag, .help = "one JSON object"},
    cache_option,
    no_cache_option,
};

}  // namespace

const Command plan_command = {
    .name = "plan",
    .summary =
        "Prints the bytes a model takes, by kind, without loading it; of a URL only the header is read. Exit status 3: "
        "it does not fit.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
