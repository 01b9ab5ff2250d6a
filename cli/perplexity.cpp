// pronk perplexity: how surprising a text is to a model.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "engine.h"
#include "file.h"
#include "text/tokenizer.h"

namespace pronk::cli {

namespace {

// −log softmax(row)[token], in double.
double surprise(std::span<const float> row, u32 token) {
  const double largest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (float logit : row) sum += std::exp(double(logit) - largest);
  return largest + std::log(sum) - double(row[token]);
}

// Scores one window; adds the surprise of each token but the first.
Status score_window(Engine& engine, std::span<const u32> window, double& total, u64& counted) {
  const u64 vocab = engine.model().vocab_size();
  u64 at = 0;
  return score(engine, window, false, [&](std::span<const float> rows) -> Status {
    for (u64 r = 0; r < rows.size() / vocab; ++r, ++at) {
      if (at + 1 == window.size()) continue;
      total += surprise(rows.subspan(r * vocab, vocab), window[at + 1]);
      ++counted;
    }
    return {};
  });
}

Outcome run(const Args& args) {
  PRONK_TRY(const MappedFile file, MappedFile::open(std::string(args.text("-f"))));
  PRONK_TRY(const EngineChoice choice, engine_choice(args, true));
  PRONK_TRY(const auto engine, open_engine(choice));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.size());
  PRONK_TRY(const std::vector<u32> tokens, engine->model().tokenizer().encode(text));
  if (tokens.size() < 2) return fail("the text has fewer than two tokens");

  double total = 0;
  u64 counted = 0;
  for (u64 begin = 0; begin + 1 < tokens.size(); begin += engine->plan().context) {
    const u64 length = std::min<u64>(engine->plan().context, tokens.size() - begin);
    PRONK_OK(score_window(*engine, std::span(tokens).subspan(begin, length), total, counted));
  }
  if (counted == 0) return fail("the context length leaves no token to predict");
  const double perplexity = std::exp(total / double(counted));
  if (args.flag("--json")) {
    std::puts(nlohmann::json{{"perplexity", perplexity}, {"tokens", counted}}.dump().c_str());
  } else {
    std::printf("perplexity %.6g over %llu tokens\n", perplexity, static_cast<unsigned long long>(counted));
  }
  return {};
}

constexpr Option options[] = {
    model_option,
    {.name = "-f",
     .value = "TEXT",
     .help = "UTF-8 text file, cut into windows of the context length",
     .required = true},
    context_option,
    budget_option,
    kv_option,
    kv_values_option,
    activations_option,
    threads_option,
    cache_option,
    no_cache_option,
    backend_option,
    {.name = "--json", .kind = OptionKind::flag, .help = "one JSON object: perplexity, tokens (those predicted)"},
};

}  // namespace

const Command perplexity_command = {
    .name = "perplexity",
    .summary = "Measures how well a model predicts a text.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
