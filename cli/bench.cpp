// pronk bench: tokens a second of prefill and decode at some depths of the context, with their spread.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>

#include "base/quote.h"
#include "commands.h"
#include "engine.h"

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
  double bytes_a_token = 0;   // weights and cache that a decode step reads; 0 of prefill

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
  double gigabytes_a_second() const { return bytes_a_token * mean() / 1e9; }
};

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
  const MemoryUse memory = engine.planned();
  std::vector<Measured> results;
  for (u32 depth : sizes.depths) {
    PRONK_OK(generate(engine, prompts.of(depth, 1), 2));  // fills the cache up to the depth, and warms up
    if (sizes.prompt > 0) {
      Measured prefill{.phase = "prefill", .depth = depth, .tokens = sizes.prompt};
      for (u32 i = 0; i < sizes.repetitions; ++i) {
        PRONK_TRY(const Timed timed, generate(engine, prompts.of(depth, sizes.prompt), 1));
        prefill.rates.push_back(sizes.prompt / timed.first_seconds);
      }
      results.push_back(std::move(prefill));
    }
    if (sizes.generated > 0) {
      Measured decode{.phase = "decode", .depth = depth, .tokens = sizes.generated};
      const double cached = double(memory.kv_cache) / engine.plan().context * (depth + sizes.generated / 2.0);
      decode.bytes_a_token = double(memory.weights) + cached;
      for (u32 i = 0; i < sizes.repetitions; ++i) {
        PRONK_TRY(const Timed timed, generate(engine, prompts.of(depth, 1), sizes.generated + 1));
        decode.rates.push_back(sizes.generated / timed.rest_seconds);
      }
      results.push_back(std::move(decode));
    }
  }
  return results;
}

// Bytes a second that one thread of this machine reads, from more memory than caches hold.
double read_bandwidth() {
  const std::vector<u64> words(u64{16} << 20, 1);
  double best = 0;
  u64 total = 0;
  for (u32 i = 0; i < 3; ++i) {
    const auto start = Clock::now();
    u64 sums[8] = {};
    for (u64 at = 0; at < words.size(); at += 8) {
      for (u64 j = 0; j < 8; ++j) sums[j] += words[at + j];
    }
    for (u64 sum : sums) total += sum;
    best = std::max(best, double(words.size() * sizeof(u64)) / seconds_since(start));
  }
  return total > 0 ? best : 0;
}

void print(const std::vector<Measured>& results, double bandwidth) {
  std::printf("%-8s %6s %6s %10s %8s %10s %7s\n", "phase", "depth", "tokens", "tokens/s", "±", "MB/token", "GB/s");
  for (const Measured& m : results) {
    std::printf("%-8s %6u %6u %10.2f %8.2f", std::string(m.phase).c_str(), m.depth, m.tokens, m.mean(), m.deviation());
    if (m.bytes_a_token > 0) std::printf(" %10.1f %7.2f", m.bytes_a_token / 1e6, m.gigabytes_a_second());
    std::puts("");
  }
  if (bandwidth > 0) std::printf("one thread of this machine reads %.2f GB/s\n", bandwidth / 1e9);
}

void print_csv(const std::vector<Measured>& results) {
  std::puts("phase,depth,tokens,repetitions,tokens_per_second,deviation,bytes_per_token,gigabytes_per_second");
  for (const Measured& m : results) {
    std::printf("%s,%u,%u,%zu,%.4f,%.4f,%.0f,%.4f\n", std::string(m.phase).c_str(), m.depth, m.tokens, m.rates.size(),
                m.mean(), m.deviation(), m.bytes_a_token, m.gigabytes_a_second());
  }
}

void print_json(const std::vector<Measured>& results, double bandwidth) {
  nlohmann::ordered_json out;
  out["read_bytes_per_second"] = bandwidth > 0 ? nlohmann::ordered_json(bandwidth) : nlohmann::ordered_json();
  out["results"] = nlohmann::ordered_json::array();
  for (const Measured& m : results) {
    out["results"].push_back({{"phase", m.phase},
                              {"depth", m.depth},
                              {"tokens", m.tokens},
                              {"tokens_per_second", m.mean()},
                              {"deviation", m.deviation()},
                              {"each", m.rates},
                              {"bytes_per_token", m.bytes_a_token}});
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

Outcome run(const Args& args) {
  if (args.flag("--json") && args.flag("--csv")) return bad_usage("pronk bench: give either --json or --csv");
  Sizes sizes;
  sizes.prompt = u32(args.integer("-p", sizes.prompt));
  sizes.generated = u32(args.integer("-n", sizes.generated));
  sizes.repetitions = u32(args.integer("-r", sizes.repetitions));
  if (args.has("-d")) {
    PRONK_TRY(sizes.depths, parse_depths(args.text("-d")));
  }
  if (sizes.prompt + sizes.generated == 0) return bad_usage("pronk bench: -p and -n are both 0");
  PRONK_TRY(EngineChoice choice, engine_choice(args));
  const u32 deepest = *std::max_element(sizes.depths.begin(), sizes.depths.end());
  if (!args.has("--ctx")) choice.options.context = deepest + std::max(sizes.prompt, sizes.generated + 1) + 2;
  PRONK_TRY(const auto engine, open_engine(choice));
  PRONK_TRY(const std::vector<Measured> results, measure(*engine, sizes));
  const double bandwidth = engine->device() ? 0 : read_bandwidth();
  if (args.flag("--json")) {
    print_json(results, bandwidth);
  } else if (args.flag("--csv")) {
    print_csv(results);
  } else {
    print(results, bandwidth);
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
    {.name = "--json", .kind = OptionKind::flag, .help = "one JSON object"},
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
