#include "engine/session.h"

#include <algorithm>

#include "text/tokenizer.h"

namespace pronk::engine {

Status RunnerSession::start(std::span<const u32> tokens, const GenerateOptions& options) {
  PRONK_OK(check(tokens));
  if (model_.encoder())
    return fail(ErrorCode::unsupported, "the model is an encoder: it makes embeddings and cannot generate text");
  if (embedding_) return fail("the model was loaded for embeddings, not to generate text");
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
  runner_.start({.tokens = {tokens.begin() + std::ptrdiff_t(common), tokens.end()},
                 .position = reused_,
                 .count = wanted_,
                 .first_step = options.resumed,
                 .sampling = options.sampling,
                 .end_tokens = ends_});
  return {};
}

bool RunnerSession::next(u32& token) {
  if (!runner_.next(token)) return false;
  history_.push_back(token);
  ++taken_;
  const bool ended = std::find(ends_.begin(), ends_.end(), token) != ends_.end();
  if (ended) finish_ = Finish::end_token;
  if (!ended && runner_.finished() && taken_ < wanted_) finish_ = Finish::context_full;
  return true;
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
  runner_.start_scoring({tokens.begin(), tokens.end()}, by_steps);
  return {};
}

Status RunnerSession::check(std::span<const u32> tokens) const {
  PRONK_OK(engine_status_);
  if (!runner_.ready()) return fail("the model is still loading");
  if (running()) return fail("a generation is still running");
  if (tokens.empty()) return fail("the prompt is empty");
  if (tokens.size() > context_) {
    return fail("the prompt has " + std::to_string(tokens.size()) + " tokens, more than the context length " +
                std::to_string(context_));
  }
  for (u32 token : tokens) {
    if (token >= model_.vocab_size())
      return fail("token " + std::to_string(token) + " is not below the vocabulary size " +
                  std::to_string(model_.vocab_size()));
  }
  return {};
}

}  // namespace pronk::engine
