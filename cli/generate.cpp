// pronk generate: continues a text.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "engine.h"
#include "text/tokenizer.h"

namespace pronk::cli {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Generated {
  std::vector<u32> tokens;
  std::vector<std::vector<graph::TokenLogprob>> logprobs;  // of each token, when asked for
  std::string text;
  double first_seconds = 0;  // until the first token: prefill and one step
  double rest_seconds = 0;
};

Result<Generated> generate(Engine& engine, std::span<const u32> prompt, const GenerateOptions& options, bool stream) {
  Generated result;
  Session& session = engine.session();
  text::StreamDecoder decoder(engine.model().tokenizer());
  const auto print = [&](std::string_view text) {
    result.text += text;
    if (!stream || text.empty()) return;
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  const auto start = Clock::now();
  PRONK_OK(session.start(prompt, options));
  PRONK_OK(engine.pump());
  while (session.running()) {
    u32 token = 0;
    while (session.next(token)) {
      if (result.tokens.empty()) result.first_seconds = seconds_since(start);
      result.tokens.push_back(token);
      if (options.top_logprobs) result.logprobs.emplace_back(session.logprobs().begin(), session.logprobs().end());
      print(decoder.push(token));
    }
    if (session.running()) PRONK_OK(turn(engine));
  }
  print(decoder.finish());
  result.rest_seconds = seconds_since(start) - result.first_seconds;
  return result;
}

std::string_view finish_name(Finish finish) {
  switch (finish) {
    case Finish::length:
      return "length";
    case Finish::end_token:
      return "stop";
    case Finish::cancelled:
      return "cancelled";
    case Finish::context_full:
      return "context";
  }
  return "";
}

nlohmann::json as_json(const RunCounters& counters) {
  return {{"dispatches_per_token", counters.dispatches_per_token},
          {"submits_per_token", counters.submits_per_token},
          {"buffers_created_after_load", counters.buffers_created_after_load},
          {"bind_groups_created_after_load", counters.bind_groups_created_after_load},
          {"pipelines_created_after_load", counters.pipelines_created_after_load},
          {"readback_bytes_per_token", counters.readback_bytes_per_token}};
}

// "ID=BIAS,ID=BIAS"
Result<std::vector<graph::TokenBias>> parse_biases(std::string_view text) {
  std::vector<graph::TokenBias> biases;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    graph::TokenBias bias;
    const char* end = pair.data() + pair.size();
    const auto id = std::from_chars(pair.data(), end, bias.token);
    const bool equals = id.ec == std::errc() && id.ptr < end && *id.ptr == '=';
    const auto value = equals ? std::from_chars(id.ptr + 1, end, bias.bias) : id;
    if (!equals || value.ec != std::errc() || value.ptr != end)
      return fail("--logit-bias: '" + std::string(pair) + "' is not ID=BIAS");
    biases.push_back(bias);
  }
  return biases;
}

nlohmann::json as_json(std::span<const graph::TokenLogprob> logprobs) {
  nlohmann::json top = nlohmann::json::array();
  for (const auto& [token, logprob] : logprobs.subspan(1)) top.push_back({{"token", token}, {"logprob", logprob}});
  return {{"logprob", logprobs[0].logprob}, {"top", top}};
}

Outcome run(const Args& args) {
  if (args.has("-p") == args.has("--tokens")) return bad_usage("pronk generate: give either -p TEXT or --tokens IDS");
  std::vector<u32> prompt;
  if (args.has("--tokens")) {
    PRONK_TRY(prompt, parse_tokens(args.text("--tokens")));
  }
  const auto load_start = Clock::now();
  PRONK_TRY(EngineChoice choice, engine_choice(args));
  choice.options.self_test = !args.flag("--no-self-test");
  PRONK_TRY(const auto engine, open_engine(choice));
  const double load_ms = seconds_since(load_start) * 1000;

  if (args.has("-p")) {
    PRONK_TRY(prompt, engine->model().tokenizer().encode(args.text("-p"), {.parse_special = args.flag("--special")}));
  }
  GenerateOptions options;
  options.max_tokens = u32(args.integer("-n", 128));
  options.ignore_end = args.flag("--ignore-eos");
  options.sampling = {.temperature = float(args.number("--temp")),
                      .top_k = u32(args.integer("--top-k")),
                      .top_p = float(args.number("--top-p", 1)),
                      .min_p = float(args.number("--min-p")),
                      .seed = u64(args.integer("--seed")),
                      .repetition_penalty = float(args.number("--repetition-penalty", 1)),
                      .frequency_penalty = float(args.number("--frequency-penalty")),
                      .presence_penalty = float(args.number("--presence-penalty"))};
  if (args.has("--logit-bias")) {
    PRONK_TRY(options.logit_bias, parse_biases(args.text("--logit-bias")));
  }
  if (args.has("--logprobs")) options.top_logprobs = u32(args.integer("--logprobs"));

  const bool json = args.flag("--json");
  PRONK_TRY(const Generated result, generate(*engine, prompt, options, !json));
  if (!json) {
    std::fputc('\n', stdout);
    return {};
  }
  const double count = double(result.tokens.size());
  nlohmann::json out = {
      {"prompt_tokens", prompt.size()},
      {"tokens", result.tokens},
      {"text", result.text},
      {"finish_reason", finish_name(engine->session().finish())},
      {"timings",
       {{"load_ms", load_ms},
        {"prefill_tps", result.first_seconds > 0 ? double(prompt.size()) / result.first_seconds : 0.0},
        {"decode_tps", count > 1 && result.rest_seconds > 0 ? (count - 1) / result.rest_seconds : 0.0}}},
      {"counters", as_json(engine->run_counters())}};
  for (const auto& each : result.logprobs) out["logprobs"].push_back(as_json(each));
  std::puts(out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  return {};
}

constexpr Option options[] = {
    model_option,
    {.name = "-p", .value = "TEXT", .help = "the prompt"},
    {.name = "--special", .kind = OptionKind::flag, .help = "control tokens written in -p become their ids"},
    {.name = "--tokens", .value = "IDS", .help = "the prompt as ids with commas between"},
    {.name = "-n",
     .kind = OptionKind::integer,
     .value = "N",
     .help = "most tokens to generate (default 128)",
     .minimum = 0,
     .maximum = 1 << 24},
    {.name = "--temp",
     .kind = OptionKind::number,
     .value = "T",
     .help = "temperature (default 0: greedy)",
     .minimum = 0,
     .maximum = 1000},
    {.name = "--top-k",
     .kind = OptionKind::integer,
     .value = "K",
     .help = "keep the K most likely (default 0: all)",
     .minimum = 0,
     .maximum = 1 << 24},
    {.name = "--top-p",
     .kind = OptionKind::number,
     .value = "P",
     .help = "keep the smallest set of this probability (default 1)",
     .minimum = 0,
     .maximum = 1},
    {.name = "--min-p",
     .kind = OptionKind::number,
     .value = "M",
     .help = "drop what is less likely than M times the likeliest (default 0)",
     .minimum = 0,
     .maximum = 1},
    {.name = "--seed",
     .kind = OptionKind::integer,
     .value = "S",
     .help = "of the random numbers (default 0)",
     .minimum = 0,
     .maximum = 0x1p53},
    {.name = "--repetition-penalty",
     .kind = OptionKind::number,
     .value = "R",
     .help = "divides the logits of tokens in prompt and answer (default 1: none)",
     .minimum = 0.01,
     .maximum = 100},
    {.name = "--frequency-penalty",
     .kind = OptionKind::number,
     .value = "F",
     .help = "taken from a token's logit for each time it is in the answer (default 0)",
     .minimum = -2,
     .maximum = 2},
    {.name = "--presence-penalty",
     .kind = OptionKind::number,
     .value = "P",
     .help = "taken once from the logits of tokens in the answer (default 0)",
     .minimum = -2,
     .maximum = 2},
    {.name = "--logit-bias",
     .value = "ID=B,...",
     .help = "added to the logits of these tokens, -100 to 100; -100: never"},
    {.name = "--logprobs",
     .kind = OptionKind::integer,
     .value = "N",
     .help = "in --json the log probability of each token, and of the N likeliest",
     .minimum = 0,
     .maximum = graph::most_top_logprobs},
    {.name = "--no-self-test",
     .kind = OptionKind::flag,
     .help = "do not compare the GPU's arithmetic with the CPU's at load"},
    {.name = "--ignore-eos", .kind = OptionKind::flag, .help = "go on after an end token"},
    {.name = "--json", .kind = OptionKind::flag, .help = "one JSON object at the end instead of a stream of text"},
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

const Command generate_command = {
    .name = "generate",
    .summary = "Continues a text, token by token.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
