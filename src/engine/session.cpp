#include "engine/session.h"

#include <algorithm>
#include <cstdio>

#include "cpu/logit_adjustment.h"
#include "text/tokenizer.h"

namespace pronk::engine {
namespace {

Status check_number(const char* name, float value, float least, float most) {
  if (value >= least && value <= most) return {};
  char text[96];
  std::snprintf(text, sizeof text, "%s is %g, not from %g to %g", name, double(value), double(least), double(most));
  return fail(text);
}

// In order, each once.
std::vector<u32> banned_by(std::span<const graph::TokenBias> biases) {
  std::vector<u32> banned;
  for (const auto& [token, bias] : biases) {
    if (bias <= graph::ban) banned.push_back(token);
  }
  std::sort(banned.begin(), banned.end());
  banned.erase(std::unique(banned.begin(), banned.end()), banned.end());
  return banned;
}

}  // namespace

Status RunnerSession::start(std::span<const u32> tokens, const GenerateOptions& options) {
  PRONK_OK(check(tokens));
  PRONK_OK(check(options));
  if (model_.encoder())
    return fail(ErrorCode::unsupported, "the model is an encoder: it makes embeddings and cannot generate text");
  if (embedding_) return fail("the model was loaded for embeddings, not to generate text");
  missing_ = 0;
  // Of the last run's tokens, those whose keys and values are in the cache.
  history_.resize(std::min<u64>(history_.size(), runner_.cached_tokens()));
  u64 common = 0;
  while (common < history_.size() && common < tokens.size() && history_[common] == tokens[common]) ++common;
  common = std::min<u64>(common, tokens.size() - 1);  // the last token is fed in any case: its logits are wanted
  common = runner_.resumable(u32(common));
  reused_ = u32(common);
  history_.assign(tokens.begin(), tokens.end());
  ends_.clear();
  if (!options.ignore_end) {
    const auto ends = model_.tokenizer().end_tokens();
    ends_.assign(ends.begin(), ends.end());
  }
  wanted_ = options.max_tokens;
  finish_ = Finish::length;
  taken_ = 0;
  sampled_ = {};
  banned_ = banned_by(options.logit_bias);
  const std::size_t answered = std::min<std::size_t>(options.resumed, tokens.size());
  std::vector<graph::TokenAdjustment> adjustments;
  if (graph::has_penalties(options.sampling) || !options.logit_bias.empty() || options.masked) {
    adjustments = cpu::token_adjustments(model_.vocab_size(), tokens.first(tokens.size() - answered),
                                         tokens.last(answered), options.logit_bias);
  }
  runner_.start({.tokens = {tokens.begin() + std::ptrdiff_t(common), tokens.end()},
                 .position = reused_,
                 .count = wanted_,
                 .first_step = options.resumed,
                 .sampling = options.sampling,
                 .end_tokens = ends_,
                 .adjustments = std::move(adjustments),
                 .masked = options.masked,
                 .top_logprobs = options.top_logprobs});
  return {};
}

bool RunnerSession::next(u32& token) {
  if (!runner_.next(sampled_)) return false;
  token = sampled_.token;
  history_.push_back(token);
  ++taken_;
  const bool ended = std::find(ends_.begin(), ends_.end(), token) != ends_.end();
  if (ended) finish_ = Finish::end_token;
  if (!ended && runner_.finished() && taken_ < wanted_) finish_ = Finish::context_full;
  return true;
}

Status RunnerSession::mask(std::span<const u32> allowed) {
  PRONK_OK(engine_status_);
  if (!wants_mask()) return fail("no token awaits a mask");
  const u32 vocab = model_.vocab_size();
  if (!allowed.empty() && allowed.size() != (vocab + 31) / 32) {
    return fail("a mask of " + std::to_string(allowed.size()) + " words is not one of " + std::to_string(vocab) +
                " tokens");
  }
  const auto allows = [&](u32 token) {
    return (allowed[token / 32] >> (token % 32) & 1) != 0 && !std::binary_search(banned_.begin(), banned_.end(), token);
  };
  bool any = allowed.empty();
  for (u32 token = 0; token < vocab && !any; ++token) any = allows(token);
  if (!any) return fail("the mask and the logit bias allow no token");
  runner_.mask({allowed.begin(), allowed.end()});
  return {};
}

void RunnerSession::cancel() {
  if (!running()) return;
  runner_.cancel();
  finish_ = Finish::cancelled;
}

Status RunnerSession::score(std::span<const u32> tokens, bool by_steps) {
  PRONK_OK(check(tokens));
  if (!scoring_) return fail("the model was loaded without memory for scoring");
  if (by_steps && model_.encoder()) return fail("an encoder takes all tokens at once");
  history_.clear();
  missing_ = 0;
  runner_.start_scoring({tokens.begin(), tokens.end()}, by_steps);
  return {};
}

Status RunnerSession::check_saving() const {
  PRONK_OK(check());
  if (!model_.encoder() && !embedding_) return {};
  return fail(ErrorCode::unsupported, "a model that makes embeddings has no sessions");
}

Result<std::vector<u8>> RunnerSession::save() {
  PRONK_OK(check_saving());
  const u64 known = std::min<u64>(history_.size(), runner_.cached_tokens());
  history_.resize(runner_.resumable(u32(known)));
  const graph::SavedStates states = runner_.start_save(u32(history_.size()));
  return write_saved({.model = sample_.value(), .kv = kv_, .tokens = history_, .states = states});
}

Result<u64> RunnerSession::restore(std::span<const u8> head) {
  PRONK_OK(check_saving());
  PRONK_TRY(SavedSession saved, read_saved(head));
  if (saved.model != sample_.value()) return fail("the saved session is of another model");
  if (saved.kv != kv_) return fail("the saved session has another type of KV cache");
  PRONK_OK(check_range(saved.tokens));
  PRONK_OK(graph::check_saved(runner_.graph(), saved.states, context_, runner_.slack()));
  history_.clear();
  missing_ = graph::saved_bytes(runner_.graph(), kv_, saved.states);
  putting_ = {runner_.graph(), kv_, saved.states, context_, runner_.slack()};
  restored_ = std::move(saved);
  runner_.forget();
  return missing_;
}

Status RunnerSession::put_saved(std::span<const u8> bytes) {
  PRONK_OK(engine_status_);
  if (bytes.empty() || bytes.size() > missing_ || bytes.size() % 4 != 0) {
    return fail("the saved session has other bytes than its head");
  }
  missing_ -= bytes.size();
  while (!bytes.empty()) {
    const graph::StateRun run = putting_.take(bytes.size());
    runner_.put(run, bytes.data());
    bytes = bytes.subspan(std::size_t(run.bytes));
  }
  if (missing_ > 0) return {};
  runner_.restored(restored_.states);
  history_ = std::move(restored_.tokens);
  return {};
}

Status RunnerSession::check(const GenerateOptions& options) const {
  const graph::SamplingParams& s = options.sampling;
  PRONK_OK(check_number("the repetition penalty", s.repetition_penalty, graph::least_repetition_penalty,
                        graph::most_repetition_penalty));
  PRONK_OK(check_number("the frequency penalty", s.frequency_penalty, -graph::most_penalty, graph::most_penalty));
  PRONK_OK(check_number("the presence penalty", s.presence_penalty, -graph::most_penalty, graph::most_penalty));
  for (const auto& [token, bias] : options.logit_bias) {
    if (token >= model_.vocab_size()) {
      return fail("the logit bias is for token " + std::to_string(token) + ", not below the vocabulary size " +
                  std::to_string(model_.vocab_size()));
    }
    PRONK_OK(check_number("a logit bias", bias, graph::ban, graph::most_bias));
  }
  if (banned_by(options.logit_bias).size() == model_.vocab_size()) return fail("the logit bias bans all tokens");
  if (options.top_logprobs.value_or(0) > graph::most_top_logprobs) {
    return fail("log probabilities of " + std::to_string(*options.top_logprobs) + " tokens are more than " +
                std::to_string(graph::most_top_logprobs));
  }
  return {};
}

Status RunnerSession::check() const {
  PRONK_OK(engine_status_);
  if (!runner_.ready()) return fail("the model is still loading");
  return running() ? fail("a generation is still running") : Status();
}

Status RunnerSession::check(std::span<const u32> tokens) const {
  PRONK_OK(check());
  if (tokens.empty()) return fail("the prompt is empty");
  if (tokens.size() > context_) {
    return fail("the prompt has " + std::to_string(tokens.size()) + " tokens, more than the context length " +
                std::to_string(context_));
  }
  return check_range(tokens);
}

Status RunnerSession::check_range(std::span<const u32> tokens) const {
  for (u32 token : tokens) {
    if (token >= model_.vocab_size())
      return fail("token " + std::to_string(token) + " is not below the vocabulary size " +
                  std::to_string(model_.vocab_size()));
  }
  return {};
}

}  // namespace pronk::engine
