// pronk logits: the scores of every token at every position.
#include "commands.h"
#include "engine.h"
#include "file.h"

namespace pronk::cli {

namespace {

Outcome run(const Args& args) {
  PRONK_TRY(const std::vector<u32> tokens, parse_tokens(args.text("--tokens")));
  PRONK_TRY(EngineChoice choice, engine_choice(args, true));
  if (choice.options.context == 0 && !choice.options.largest_context) choice.options.context = u32(tokens.size());
  PRONK_TRY(const auto engine, open_engine(choice));
  PRONK_TRY(OutputFile out, OutputFile::create(std::string(args.text("--out"))));
  PRONK_OK(score(*engine, tokens, args.flag("--by-steps"), [&](std::span<const float> rows) {
    return out.write({reinterpret_cast<const u8*>(rows.data()), rows.size_bytes()});
  }));
  PRONK_OK(out.close());
  return {};
}

constexpr Option options[] = {
    model_option,
    {.name = "--tokens", .value = "IDS", .help = "ids with commas between: 1,2,3", .required = true},
    {.name = "--out",
     .value = "FILE",
     .help = "raw float32, little-endian: a row of the vocabulary for each token",
     .required = true},
    backend_option,
    context_option,
    budget_option,
    kv_option,
    kv_values_option,
    activations_option,
    threads_option,
    cache_option,
    no_cache_option,
    {.name = "--by-steps", .kind = OptionKind::flag, .help = "one token at a time, as in decode, instead of prefill"},
};

}  // namespace

const Command logits_command = {
    .name = "logits",
    .summary = "Writes the logits after each of the given tokens.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
