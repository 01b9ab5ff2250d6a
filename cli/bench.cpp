// pronk bench: tokens a second of prefill and decode at some depths of the context, with their spread, and what share
// of this machine's memory bandwidth and multiplications that is.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "base/quote.h"
#include "commands.h"
#include "cpu/processors.h"
#include "engine.h"
#include "gpu_rates.h"
#include "kernel_times.h"
#include "machine.h"

namespace pronk::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Sizes {
  u32 prompt = 512, generated = 128, repetitions = 5;
  std::vector<u32> depths{0};
};

// One line of the result: `tokens` tokens after `depth` others.
struct Measured {
  std::string_view phase;  // prefill or decode
  u32 depth = 0, tokens = 0;
  std::vector<double> rates;  // tokens a second, one of each repetition
  graph::RunCost cost;        // of all tokens

  double mean() const {
    double sum = 0;
    for (double rate : rates) sum += rate;
    return sum / double(rates.size());
  }
  double deviation() const {
    double squares = 0;
    for (double rate : rates) squares += (rate - mean()) * (rate - mean());
    return rates.size() > 1 ? std::sqrt(squares / double(rates.size() - 1)) : 0;
  }
  // A prompt's tokens share what is read of weights; how many do, depends on the back end.
  bool reads_each() const { return phase == "decode"; }
  double weight_bytes() const { return reads_each() ? double(cost.weight_bytes) / tokens : 0; }  // a token
  double cache_bytes() const { return reads_each() ? double(cost.cache_bytes) / tokens : 0; }
  double bytes() const { return weight_bytes() + cache_bytes(); }
  double bytes_a_second() const { return bytes() * mean(); }
  double multiply_adds() const { return double(cost.multiply_adds) / tokens; }  // a token
  double multiply_adds_a_second() const { return multiply_adds() * mean(); }
};

// Of decode in the bytes that the machine reads, of prefill in its multiply-adds.
double share(const Measured& m, const MachineRates& machine) {
  return m.reads_each() ? m.bytes_a_second() / machine.read_bytes : m.multiply_adds_a_second() / machine.multiply_adds;
}

// Random tokens; those that stand before are the same in every prompt, so that the cache has them.
class Prompts {
 public:
  Prompts(u32 vocabulary, u32 longest) : vocabulary_(vocabulary) {
    for (u32 i = 0; i < longest; ++i) shared_.push_back(next());
  }
  std::vector<u32> of(u32 depth, u32 count) {
    std::vector<u32> tokens(shared_.begin(), shared_.begin() + depth);
    for (u32 i = 0; i < count; ++i) tokens.push_back(next());
    // The first new token differs from every earlier one: nothing of what follows is in the cache.
    if (count > 0) tokens[depth] = fresh_++ % vocabulary_;
    return tokens;
  }

 private:
  u32 next() { return u32(random_() % vocabulary_); }

  u32 vocabulary_, fresh_ = 0;
  std::mt19937 random_{1};
  std::vector<u32> shared_;
};

struct Timed {
  double first_seconds = 0, rest_seconds = 0;  // until the first token, and from there to the last
};

Result<Timed> generate(Engine& engine, const std::vector<u32>& prompt, u32 count) {
  Session& session = engine.session();
  const GenerateOptions options{.max_tokens = count, .ignore_end = true};
  Timed timed;
  u32 made = 0;
  const auto start = Clock::now();
  PRONK_OK(session.start(prompt, options));
  PRONK_OK(engine.pump());
  while (session.running()) {
    for (u32 token = 0; session.next(token); ++made) {
      if (made == 0) timed.first_seconds = seconds_since(start);
    }
    if (session.running()) PRONK_OK(turn(engine));
  }
  timed.rest_seconds = seconds_since(start) - timed.first_seconds;
  if (made != count) return fail("the run made " + std::to_string(made) + " tokens of " + std::to_string(count));
  return timed;
}

Result<std::vector<Measured>> measure(Engine& engine, const Sizes& sizes) {
  const u32 deepest = *std::max_element(sizes.depths.begin(), sizes.depths.end());
  Prompts prompts(engine.model().vocab_size(), deepest);
  std::vector<Measured> results;
  for (u32 depth : sizes.depths) {
    PRONK_OK(generate(engine, prompts.of(depth, 1), 2));  // fills the cache up to the depth, and warms up
    if (sizes.prompt > 0) {
      Measured prefill{.phase = "prefill", .depth = depth, .tokens = sizes.prompt};
      prefill.cost = engine.run_cost(depth, sizes.prompt, 1);
      for (u32 i = 0; i < sizes.repetitions; ++i) {
        PRONK_TRY(const Timed timed, generate(engine, prompts.of(depth, sizes.prompt), 1));
        prefill.rates.push_back(sizes.prompt / timed.first_seconds);
      }
      results.push_back(std::move(prefill));
    }
    if (sizes.generated > 0) {
      Measured decode{.phase = "decode", .depth = depth, .tokens = sizes.generated};
      decode.cost = engine.run_cost(depth + 1, sizes.generated, sizes.generated);
      for (u32 i = 0; i < sizes.repetitions; ++i) {
        PRONK_TRY(const Timed timed, generate(engine, prompts.of(depth, 1), sizes.generated + 1));
        decode.rates.push_back(sizes.generated / timed.rest_seconds);
      }
      results.push_back(std::move(decode));
    }
  }
  return results;
}

// The kernels of a submission of prefill and of some decoded tokens, at a depth.
Result<KernelTimes> measure_kernels(Engine& engine, const Sizes& sizes, u32 depth) {
  constexpr u32 most_decoded = 8;
  const auto timed = [&](const std::vector<u32>& prompt, u32 count) -> Result<KernelTimes> {
    if (!gpu::start_timing(*engine.device())) return fail("the adapter has no timestamp queries to time kernels with");
    PRONK_OK(generate(engine, prompt, count));
    PRONK_TRY(const auto dispatches, gpu::stop_timing(*engine.device()));
    return sum_up(dispatches);
  };
  Prompts prompts(engine.model().vocab_size(), depth);
  PRONK_OK(generate(engine, prompts.of(depth, 1), 2));
  PRONK_TRY(KernelTimes times, timed(prompts.of(depth, 1), std::clamp(sizes.generated, 1u, most_decoded)));
  times.depth = depth;
  times.prefilled = std::min(engine.prefill_chunk(), sizes.prompt > 0 ? sizes.prompt - 1 : 0);
  if (times.prefilled == 0) return times;
  PRONK_TRY(KernelTimes prefill, timed(prompts.of(depth, times.prefilled + 1), 1));
  times.prefill = std::move(prefill.prefill);
  return times;
}

void print_kernels(std::string_view of, const std::vector<KernelTime>& kernels, double tokens) {
  const double all = total_ms(kernels);
  std::printf("\nkernels of %s, %.3f ms\n%8s %7s %10s  kernel\n", std::string(of).c_str(), all / tokens, "ms", "share",
              "dispatches");
  for (const KernelTime& kernel : kernels) {
    std::printf("%8.3f %5.1f %% %10.0f  %s\n", kernel.milliseconds / tokens, 100 * kernel.milliseconds / all,
                kernel.dispatches / tokens, kernel.kernel.c_str());
  }
}

void print_kernels(const KernelTimes& times) {
  const std::string behind = " at depth " + std::to_string(times.depth);
  if (times.prefilled > 0)
    print_kernels("a prefill of " + std::to_string(times.prefilled) + " tokens" + behind, times.prefill, 1);
  print_kernels("a decoded token" + behind, times.decode, times.decoded);
}

// Of what the machine can do at most, or null when that was not measured (a GPU's without --kernels).
using Machine = std::optional<MachineRates>;

void print(const std::vector<Measured>& results, const Machine& machine) {
  std::printf("%-8s %6s %6s %10s %8s %10s %10s %7s %8s%s\n", "phase", "depth", "tokens", "tokens/s", "±", "weights MB",
              "cache MB", "GB/s", "Gmadd/s", machine ? "   share" : "");
  for (const Measured& m : results) {
    std::printf("%-8s %6u %6u %10.2f %8.2f", std::string(m.phase).c_str(), m.depth, m.tokens, m.mean(), m.deviation());
    if (m.reads_each()) {
      std::printf(" %10.1f %10.1f %7.2f", m.weight_bytes() / 1e6, m.cache_bytes() / 1e6, m.bytes_a_second() / 1e9);
    } else {
      std::printf(" %10s %10s %7s", "", "", "");
    }
    std::printf(" %8.1f", m.multiply_adds_a_second() / 1e9);
    if (machine) std::printf(" %6.0f %%", 100 * share(m, *machine));
    std::puts("");
  }
  if (!machine) return;
  if (machine->threads == 0) {
    std::printf(
        "this GPU: %.2f GB/s copied, %.1f Gmadd/s of f32; share: of decode in what is read, of prefill in what is "
        "multiplied\n",
        machine->read_bytes / 1e9, machine->multiply_adds / 1e9);
    return;
  }
  std::printf(
      "%u thread%s of this machine: %.2f GB/s read, %.1f Gmadd/s of 8 bits (%s); share: of decode in what is "
      "read, of prefill in what is multiplied\n",
      machine->threads, machine->threads == 1 ? "" : "s", machine->read_bytes / 1e9, machine->multiply_adds / 1e9,
      machine->instruction_set.c_str());
}

void print_csv(const std::vector<Measured>& results, const Machine& machine) {
  std::puts(
      "phase,depth,tokens,repetitions,tokens_per_second,deviation,bytes_per_token,gigabytes_per_second,"
      "weight_bytes_per_token,cache_bytes_per_token,multiply_adds_per_token,share");
  for (const Measured& m : results) {
    std::printf("%s,%u,%u,%zu,%.4f,%.4f,%.0f,%.4f,%.0f,%.0f,%.0f,", std::string(m.phase).c_str(), m.depth, m.tokens,
                m.rates.size(), m.mean(), m.deviation(), m.bytes(), m.bytes_a_second() / 1e9, m.weight_bytes(),
                m.cache_bytes(), m.multiply_adds());
    if (machine) std::printf("%.4f", share(m, *machine));
    std::puts("");
  }
}

using Json = nlohmann::ordered_json;

Json kernels_json(const std::vector<KernelTime>& kernels, double tokens) {
  Json list = Json::array();
  const double all = total_ms(kernels);
  for (const KernelTime& kernel : kernels) {
    list.push_back({{"kernel", kernel.kernel},
                    {"dispatches", kernel.dispatches / tokens},
                    {"milliseconds", kernel.milliseconds / tokens},
                    {"share", all > 0 ? kernel.milliseconds / all : 0}});
  }
  return list;
}

void print_json(const std::vector<Measured>& results, const Machine& machine, const std::vector<KernelTimes>& kernels) {
  Json out;
  out["threads"] = machine && machine->threads > 0 ? Json(machine->threads) : Json();
  out["read_bytes_per_second"] = machine ? Json(machine->read_bytes) : Json();
  out["multiply_adds_per_second"] = machine ? Json(machine->multiply_adds) : Json();
  out["instruction_set"] = machine ? Json(machine->instruction_set) : Json();
  out["results"] = Json::array();
  for (const Measured& m : results) {
    out["results"].push_back({{"phase", m.phase},
                              {"depth", m.depth},
                              {"tokens", m.tokens},
                              {"tokens_per_second", m.mean()},
                              {"deviation", m.deviation()},
                              {"each", m.rates},
                              {"bytes_per_token", m.bytes()},
                              {"weight_bytes_per_token", m.weight_bytes()},
                              {"cache_bytes_per_token", m.cache_bytes()},
                              {"multiply_adds_per_token", m.multiply_adds()},
                              {"share", machine ? Json(share(m, *machine)) : Json()}});
  }
  for (const KernelTimes& times : kernels) {
    out["kernels"].push_back({{"depth", times.depth},
                              {"prefilled", times.prefilled},
                              {"prefill", kernels_json(times.prefill, 1)},
                              {"decode", kernels_json(times.decode, times.decoded)}});
  }
  std::puts(out.dump().c_str());
}

// -d 0,4096
std::expected<std::vector<u32>, Failure> parse_depths(std::string_view list) {
  std::vector<u32> depths;
  for (const char *at = list.data(), *end = at + list.size(); at <= end; ++at) {
    u32 depth = 0;
    const auto [next, error] = std::from_chars(at, end, depth);
    if (error != std::errc() || (next < end && *next != ',') || depth > 1 << 22) {
      return bad_usage("-d is " + quoted(list) + ", not numbers of tokens with commas between, such as 0,4096");
    }
    depths.push_back(depth);
    at = next;
  }
  return depths;
}

// A GPU is measured where its kernels are, once the engine has given it back.
Result<Machine> machine_rates(const EngineChoice& choice, std::unique_ptr<Engine> engine) {
  if (!engine->device()) {
    const u32 threads = choice.options.threads > 0 ? choice.options.threads : cpu::default_threads();
    return measure_machine(threads);
  }
  if (!choice.timestamps) return std::nullopt;
  engine.reset();
  PRONK_TRY(const auto device, open_device(choice.backend));
  PRONK_TRY(const GpuRates rates, measure_gpu(*device));
  return MachineRates{
      .threads = 0, .read_bytes = rates.copied_bytes, .multiply_adds = rates.multiply_adds, .instruction_set = "f32"};
}

Outcome run(const Args& args) {
  if (args.flag("--json") && args.flag("--csv")) return bad_usage("pronk bench: give either --json or --csv");
  if (args.flag("--kernels") && args.flag("--csv"))
    return bad_usage("pronk bench: --kernels is not for --csv; --json has them");
  Sizes sizes;
  sizes.prompt = u32(args.integer("-p", sizes.prompt));
  sizes.generated = u32(args.integer("-n", sizes.generated));
  sizes.repetitions = u32(args.integer("-r", sizes.repetitions));
  if (args.has("-d")) {
    PRONK_TRY(sizes.depths, parse_depths(args.text("-d")));
  }
  if (sizes.prompt + sizes.generated == 0) return bad_usage("pronk bench: -p and -n are both 0");
  PRONK_TRY(EngineChoice choice, engine_choice(args));
  choice.timestamps = args.flag("--kernels");
  const u32 deepest = *std::max_element(sizes.depths.begin(), sizes.depths.end());
  if (!args.has("--ctx")) choice.options.context = deepest + std::max(sizes.prompt, sizes.generated + 1) + 2;
  PRONK_TRY(auto engine, open_engine(choice));
  if (choice.timestamps && !engine->device()) return bad_usage("pronk bench: --kernels needs a GPU");
  PRONK_TRY(const std::vector<Measured> results, measure(*engine, sizes));
  std::vector<KernelTimes> kernels;
  for (const u32 depth : choice.timestamps ? sizes.depths : std::vector<u32>()) {
    PRONK_TRY(kernels.emplace_back(), measure_kernels(*engine, sizes, depth));
  }
  PRONK_TRY(const Machine machine, machine_rates(choice, std::move(engine)));
  if (args.flag("--json")) {
    print_json(results, machine, kernels);
  } else if (args.flag("--csv")) {
    print_csv(results, machine);
  } else {
    print(results, machine);
    for (const KernelTimes& times : kernels) print_kernels(times);
  }
  return {};
}

constexpr Option options[] = {
    model_option,
    {.name = "-p",
     .kind = OptionKind::integer,
     .value = "N",
     .help = "tokens of a prompt (default 512; 0: no prefill is measured)",
     .minimum = 0,
     .maximum = 1 << 20},
    {.name = "-n",
     .kind = OptionKind::integer,
     .value = "N",
     .help = "tokens to generate (default 128; 0: no decode is measured)",
     .minimum = 0,
     .maximum = 1 << 20},
    {.name = "-d", .value = "N,N", .help = "tokens that stand before both in the context (default 0)"},
    {.name = "-r",
     .kind = OptionKind::integer,
     .value = "N",
     .help = "how often each is measured (default 5)",
     .minimum = 1,
     .maximum = 1000},
    {.name = "--kernels",
     .kind = OptionKind::flag,
     .help = "also the time of each kernel on a GPU that has timestamp queries, and what the GPU can do at most"},
    {.name = "--json", .kind = OptionKind::flag, .help = "one JSON object; README.md has its keys"},
    {.name = "--csv", .kind = OptionKind::flag, .help = "lines of comma-separated values"},
    backend_option,
    context_option,
    budget_option,
    kv_option,
    kv_values_option,
    activations_option,
    threads_option,
    cache_option,
    no_cache_option,
};

}  // namespace

const Command bench_command = {
    .name = "bench",
    .summary = "Measures tokens a second of prefill and decode.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
