#include "engine/cpu_runner.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/logit_adjustment.h"
#include "cpu/logprobs.h"

namespace pronk::engine {
namespace {

constexpr u64 saved_part_bytes = 4 << 20;
constexpr u32 causal_chunk = 128;  // tokens of a prompt that share each decoded weight

// Tokens that go through the graph together: all of them, where each sees those after it.
u32 chunk_of(const graph::Graph& graph, u32 context) { return graph.causal() ? causal_chunk : context; }

Status check_factors(const graph::Weight& weight, const u8* bytes) {
  CHECK(weight.rows == 1);
  std::vector<float> factors(weight.cols);
  weight.format->decode(bytes, weight.cols / weight.format->block_weights, factors.data());
  for (float factor : factors) {
    if (!(std::fabs(factor) > 0)) return fail(ErrorCode::bad_model, "tensor '" + weight.name + "' holds a zero");
  }
  return {};
}

}  // namespace

CpuRunner::CpuRunner(const models::Model& model, const WeightMemory& weights, u32 context, graph::KvTypes kv,
                     bool scoring, graph::Activations activations, u32 threads)
    : model_(model),
      weights_(weights),
      context_(context),
      kv_(kv),
      scoring_(scoring),
      activations_(activations),
      threads_(threads),
      chunk_(chunk_of(model.graph, context)),
      sampler_(model.hyper.vocab) {}

MemoryUse CpuRunner::plan(const models::Model& model, u32 context, graph::KvTypes kv, bool scoring,
                          graph::Activations activations, u32 threads) {
  const u32 chunk = chunk_of(model.graph, context);
  const cpu::Footprint footprint = cpu::Executor<float>::footprint(model.graph, context, kv, chunk, scoring ? chunk : 1,
                                                                   activations, cpu::best_kernels(), threads);
  return {.kv_cache = footprint.kv_cache, .activations = footprint.activations, .parameters = footprint.parameters};
}

MemoryUse CpuRunner::planned() const {
  MemoryUse use = plan(model_, context_, kv_, scoring_, activations_, threads_);
  use.weights = weights_.bytes();
  return use;
}

MemoryUse CpuRunner::allocated() const {
  MemoryUse use{.weights = weights_.allocated()};
  if (!executor_) return use;
  const cpu::Footprint footprint = executor_->allocated();
  use.kv_cache = footprint.kv_cache;
  use.activations = footprint.activations;
  use.parameters = footprint.parameters;
  return use;
}

Status CpuRunner::weights_done() {
  for (const graph::RopeTable& table : model_.graph.ropes) {
    const graph::WeightId factors = table.factors_at(context_);
    if (factors != graph::WeightId::none) {
      PRONK_OK(check_factors(model_.graph[factors], weights_.weight(factors)));
    }
  }
  std::vector<const u8*> bytes;
  for (u32 id = 0; id < model_.graph.weights.size(); ++id) bytes.push_back(weights_.weight(graph::WeightId(id)));
  executor_ =
      std::make_unique<cpu::Executor<float>>(model_.graph, std::move(bytes), context_, kv_, chunk_,
                                             scoring_ ? chunk_ : 1, activations_, cpu::best_kernels(), threads_);
  return {};
}

void CpuRunner::start(Run run) {
  CHECK(ready() && finished() && !run.tokens.empty() && run.position + run.tokens.size() <= context_);
  run_ = std::move(run);
  run_.count = std::min<u32>(run_.count, context_ - run_.position - u32(run_.tokens.size()) + 1);
  fed_ = sampled_ = 0;
  cached_ = run_.position;
  last_ = run_.tokens.back();
  mask_.reset();
  phase_ = run_.count > 0 ? Phase::prefill : Phase::idle;
}

void CpuRunner::start_scoring(std::vector<u32> tokens, bool by_steps) {
  CHECK(ready() && finished() && !tokens.empty() && tokens.size() <= context_);
  run_ = {};
  run_.tokens = std::move(tokens);
  fed_ = cached_ = 0;
  by_steps_ = by_steps;
  phase_ = Phase::score;
}

void CpuRunner::cancel() {
  phase_ = Phase::idle;
  computing_ = false;
  tokens_.clear();
  rows_ = {};
  saving_ = {};
}

Status CpuRunner::pump() {
  if (phase_ == Phase::prefill && fed_ + 1 == run_.tokens.size()) phase_ = Phase::decode;
  if (phase_ == Phase::score && !rows_.empty()) return {};
  if (phase_ == Phase::score && fed_ == run_.tokens.size()) phase_ = Phase::idle;
  if (phase_ == Phase::idle || awaits_mask()) return {};
  if (!computing_) begin();
  computing_ = !executor_->advance(pump_multiply_adds);
  if (computing_) return {};
  if (phase_ == Phase::decode) return end_decode();
  fed_ += chunk_rows_;
  if (phase_ == Phase::prefill) cached_ = run_.position + fed_;
  if (phase_ == Phase::score) rows_ = executor_->logits();
  return {};
}

// The next chunk of the prompt without its last token, the next token, or the next chunk to be scored.
void CpuRunner::begin() {
  if (phase_ == Phase::decode) {
    executor_->begin(std::span(&last_, 1), run_.position + fed_ + sampled_, cpu::Logits::last);
    sampled_ == 0 ? executor_->checkpoint_prompt() : executor_->checkpoint_following();
    return;
  }
  const bool score = phase_ == Phase::score;
  const u32 left = u32(run_.tokens.size()) - fed_ - (score ? 0 : 1);
  chunk_rows_ = std::min(score && by_steps_ ? 1 : chunk_, left);
  executor_->begin(std::span(run_.tokens).subspan(fed_, chunk_rows_), run_.position + fed_,
                   score ? cpu::Logits::all : cpu::Logits::none);
  if (!score) executor_->checkpoint_following();
}

Status CpuRunner::end_decode() {
  const std::span<const float> raw = executor_->logits();
  std::span<const float> logits = raw;
  if (!run_.adjustments.empty()) {
    cpu::adjust_logits(raw, run_.sampling, run_.adjustments, mask_ ? *mask_ : std::vector<u32>(), adjusted_);
    logits = adjusted_;
  }
  mask_.reset();
  const std::optional<u32> token = sampler_.sample(logits, run_.sampling, run_.first_step + sampled_);
  if (!token) return no_token(run_);
  last_ = *token;
  if (!run_.adjustments.empty()) ++run_.adjustments[last_].count;
  cached_ = run_.position + fed_ + sampled_ + 1;
  ++sampled_;
  tokens_.push_back({last_});
  if (run_.top_logprobs) tokens_.back().logprobs = cpu::logprobs(raw, last_, *run_.top_logprobs);
  const bool ended = std::find(run_.end_tokens.begin(), run_.end_tokens.end(), last_) != run_.end_tokens.end();
  if (ended || sampled_ == run_.count) phase_ = Phase::idle;
  return {};
}

void CpuRunner::mask(std::vector<u32> allowed) {
  CHECK(wants_mask());
  mask_ = std::move(allowed);
}

bool CpuRunner::next(Sampled& sampled) {
  if (tokens_.empty()) return false;
  sampled = std::move(tokens_.front());
  tokens_.pop_front();
  return true;
}

std::span<const float> CpuRunner::next_rows() { return std::exchange(rows_, {}); }

graph::SavedStates CpuRunner::start_save(u32 position) {
  CHECK(ready() && finished());
  cached_ = position;
  graph::SavedStates saved = executor_->states().save(position);
  saving_ = {model_.graph, kv_, saved, context_, chunk_};
  return saved;
}

std::span<const u8> CpuRunner::next_saved() {
  if (saving_.done()) return {};
  const graph::StateRun run = saving_.take(saved_part_bytes);
  return {executor_->states().bytes_of(run), std::size_t(run.bytes)};
}

void CpuRunner::forget() {
  CHECK(ready() && finished());
  cached_ = 0;
  executor_->states().begin(0);
}

void CpuRunner::put(const graph::StateRun& run, const u8* bytes) {
  std::memcpy(executor_->states().bytes_of(run), bytes, std::size_t(run.bytes));
}

void CpuRunner::restored(const graph::SavedStates& saved) {
  executor_->states().restored(saved);
  cached_ = saved.position;
}

}  // namespace pronk::engine
