// pronk tune: measures the kernels that a model needs on this machine's GPU; the next load takes the fastest.
#include <cstdio>
#include <filesystem>

#include "commands.h"
#include "engine.h"
#include "file.h"
#include "gpu/native.h"
#include "tune/tuner.h"
#include "tune/tuning_file.h"

namespace pronk::cli {
namespace {

Status write_text(const std::string& path, std::string_view text) {
  PRONK_TRY(OutputFile file, OutputFile::create(path));
  PRONK_OK(file.write({reinterpret_cast<const u8*>(text.data()), text.size()}));
  return file.close();
}

// A reader sees the old file or the new one.
Status store(const std::string& path, std::string_view text) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  PRONK_OK(write_text(path + ".new", text));
  std::filesystem::rename(path + ".new", path, error);
  if (error) return fail("cannot replace '" + path + "': " + error.message());
  return {};
}

Result<kernels::Tuning> read_tuning(const std::string& path, const gpu::AdapterInfo& adapter) {
  PRONK_TRY(const std::optional<std::string> text, read_whole(path));
  if (!text) return fail("there is no file '" + path + "'");
  auto tuning = tune::parse_tuning(*text, adapter);
  if (!tuning) return fail(path + ": " + tuning.error().message);
  return tuning;
}

void print(const tune::Verdict& v) {
  if (v.chosen.empty() || v.standard_us == 0) {
    std::printf("%-42s not measured\n", v.key.c_str());
    return;
  }
  std::printf("%-42s %-18s %10.1f  %-18s %10.1f  %5.2f  %u of %u\n", v.key.c_str(), v.standard.c_str(), v.standard_us,
              v.chosen.c_str(), v.chosen_us, v.standard_us / v.chosen_us, v.measured, v.measured + v.refused);
  std::fflush(stdout);
}

std::string times_text(std::span<const tune::Verdict> verdicts) {
  std::string text = "kernel, format and shape\tcandidate\tmicroseconds\n";
  for (const tune::Verdict& v : verdicts) {
    for (const auto& [candidate, us] : v.times) text += v.key + '\t' + candidate + '\t' + std::to_string(us) + '\n';
  }
  return text;
}

Result<kernels::Tuning> measure(const Args& args, const EngineChoice& choice, gpu::Device& device) {
  PRONK_TRY(const OpenModel open, open_headers(choice.location, choice.source));
  PRONK_TRY(const auto tuner,
            tune::Tuner::create(*open.model, choice.options, device, double(args.integer("--seconds", 60))));
  std::printf("%-42s %-18s %10s  %-18s %10s  %5s  %s\n", "kernel, format and shape", "default", "µs", "fastest", "µs",
              "gain", "measured");
  for (std::size_t printed = 0;;) {
    PRONK_OK(tuner->pump());
    for (; printed < tuner->verdicts().size(); ++printed) print(tuner->verdicts()[printed]);
    if (tuner->done()) break;
    for (int i = 0; i < 600 && !device.has_event(); ++i) gpu::wait(device, std::chrono::seconds(1));
    if (!device.has_event()) return fail("the device has been silent for ten minutes");
  }
  if (args.has("--times")) PRONK_OK(write_text(std::string(args.text("--times")), times_text(tuner->verdicts())));
  if (tuner->verdicts().size() < tuner->problems().size())
    std::printf("%zu of %zu measured in the time there was\n", tuner->verdicts().size(), tuner->problems().size());
  return tuner->tuning();
}

Outcome run(const Args& args) {
  PRONK_TRY(EngineChoice choice, engine_choice(args));
  choice.any_model = choice.source.header_only = true;
  if (choice.tuning_folder.empty())
    return fail("there is no folder for what is measured: neither --cache, nor $XDG_CACHE_HOME, nor $HOME is given");
  PRONK_TRY(const auto device, gpu::create_native_device());
  const std::string path = tuning_path(choice.tuning_folder, device->info());
  // What other models have been measured for stays.
  kernels::Tuning all = read_tuning(path, device->info()).value_or(kernels::Tuning());
  const bool measures = !args.has("--import") && !(args.has("--export") && !args.has("-m"));
  if (args.has("--import") || measures) {
    kernels::Tuning more;
    if (args.has("--import")) {
      PRONK_TRY(more, read_tuning(std::string(args.text("--import")), device->info()));
    } else {
      PRONK_TRY(more, measure(args, choice, *device));
    }
    for (const auto& [key, candidate] : more.choices()) all.choose(key, candidate);
    PRONK_OK(store(path, tune::tuning_text(all, device->info())));
  }
  if (args.has("--export"))
    PRONK_OK(write_text(std::string(args.text("--export")), tune::tuning_text(all, device->info())));
  std::printf("%zu choices for %s\n", all.choices().size(), tune::adapter_name(device->info()).c_str());
  return {};
}

constexpr Option options[] = {
    model_option,
    {.name = "--seconds",
     .kind = OptionKind::integer,
     .value = "N",
     .help = "most time to measure for (default 60); what matters most comes first",
     .minimum = 1,
     .maximum = 36000},
    {.name = "--export", .value = "FILE", .help = "write the choices to a file; without -m nothing is measured"},
    {.name = "--import",
     .value = "FILE",
     .help = "take the choices of a file that --export wrote on the same GPU and driver; nothing is measured"},
    {.name = "--times", .value = "FILE", .help = "write what each candidate took, as tab-separated text"},
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

const Command tune_command = {
    .name = "tune",
    .summary = "Measures a model's kernels on this GPU; the next load takes the fastest.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
