// pronk embed: the vector of a text, or a reranker's scores.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "engine.h"
#include "engine/pooling.h"
#include "file.h"
#include "text/tokenizer.h"

namespace pronk::cli {

namespace {

using graph::Pooling;

std::string_view name_of(Pooling pooling) {
  std::string_view name;
  graph::each_enumerator(Pooling{}, [&](std::string_view each, Pooling value) {
    if (value == pooling) name = each;
  });
  return name;
}

Result<Pooling> choose_pooling(std::string_view choice, const Model& model) {
  std::optional<Pooling> asked;
  graph::each_enumerator(Pooling{}, [&](std::string_view each, Pooling value) {
    if (each == choice) asked = value;
  });
  return engine::choose_pooling(asked, model.pooling());
}

// values: [count, width].
void print_json(const std::vector<float>& values, u32 width, u64 tokens, Pooling pooling) {
  nlohmann::ordered_json out = {{"tokens", tokens}, {"pooling", name_of(pooling)}, {"width", width}};
  if (pooling == Pooling::none) {
    out["embeddings"] = nlohmann::json::array();
    for (auto at = values.begin(); at != values.end(); at += width)
      out["embeddings"].push_back(std::vector<float>(at, at + width));
  } else {
    out[pooling == Pooling::rank ? "scores" : "embedding"] = values;
  }
  std::puts(out.dump().c_str());
}

Outcome run(const Args& args) {
  if (args.has("-p") == args.has("--tokens")) return bad_usage("pronk embed: give either -p TEXT or --tokens IDS");
  if (!args.has("--out") && !args.flag("--json")) return bad_usage("pronk embed: give --out FILE, --json or both");
  std::vector<u32> tokens;
  if (args.has("--tokens")) {
    PRONK_TRY(tokens, parse_tokens(args.text("--tokens")));
  }
  PRONK_TRY(EngineChoice choice, engine_choice(args, true));
  choice.options.embedding = true;
  PRONK_TRY(OpenModel open, open_headers(choice.location, choice.source));
  const std::shared_ptr<const Model> model = open.model;
  PRONK_TRY(const Pooling pooling, choose_pooling(args.text("--pooling", "auto"), *model));
  if (args.has("-p")) {
    PRONK_TRY(tokens, model->tokenizer().encode(args.text("-p"), {.parse_special = args.flag("--special")}));
    if (tokens.empty()) return fail("the text has no tokens");
  }
  if (choice.options.context == 0 && !choice.options.largest_context) choice.options.context = u32(tokens.size());
  PRONK_TRY(const auto engine, open_engine(choice, std::move(open)));

  std::vector<float> rows;
  PRONK_OK(score(*engine, tokens, false, [&](std::span<const float> some) -> Status {
    rows.insert(rows.end(), some.begin(), some.end());
    return {};
  }));
  const u32 width = engine->row_width();
  const std::vector<float> values = engine::embedding(rows, width, pooling, args.flag("--normalize"));
  if (args.has("--out")) {
    PRONK_TRY(OutputFile out, OutputFile::create(std::string(args.text("--out"))));
    PRONK_OK(out.write({reinterpret_cast<const u8*>(values.data()), values.size() * sizeof(float)}));
    PRONK_OK(out.close());
  }
  if (args.flag("--json")) print_json(values, width, tokens.size(), pooling);
  return {};
}

constexpr Option options[] = {
    model_option,
    {.name = "-p", .value = "TEXT", .help = "the text"},
    {.name = "--special", .kind = OptionKind::flag, .help = "control tokens written in -p become their ids"},
    {.name = "--tokens", .value = "IDS", .help = "instead of -p: ids with commas between, cls and sep included"},
    {.name = "--pooling",
     .value = "HOW",
     .help = "auto: as the file says, or the mean; none: a vector for each token",
     .choices = "auto|mean|cls|last|none"},
    {.name = "--normalize", .kind = OptionKind::flag, .help = "vectors of length 1"},
    {.name = "--out", .value = "FILE", .help = "raw float32, little-endian"},
    {.name = "--json", .kind = OptionKind::flag, .help = "one JSON object"},
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

const Command embed_command = {
    .name = "embed",
    .summary = "Makes the embedding of a text, or the scores of a reranker.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
