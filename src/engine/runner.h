// What an engine needs from a place where models run: the GPU (gpu_runner) or the CPU (cpu_runner).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/memory_use.h"
#include "gpu/device.h"
#include "graph/sampling.h"
#include "graph/saved_state.h"

namespace pronk::engine {

// One run of the decode loop: feeds `tokens` from `position` on, then samples `count` tokens, fewer when one of
// `end_tokens` comes or the context is full.
struct Run {
  std::vector<u32> tokens;  // not empty; the cache holds what comes before them
  u32 position = 0;         // of tokens[0]
  u32 count = 0;
  u32 first_step = 0;  // tokens of this text that were sampled before: part of what makes the noise
  graph::SamplingParams sampling;
  std::vector<u32> end_tokens;
  std::vector<graph::TokenAdjustment> adjustments = {};  // of each token; empty: the logits stay as they are
  bool masked = false;                                   // a token is sampled once mask() was called for it
  std::optional<u32> top_logprobs = std::nullopt;
};

// A token that came out.
struct Sampled {
  u32 token = 0;
  std::vector<graph::TokenLogprob> logprobs = {};  // when the run asks for them: its own, then the top ones
};

// What a run fails with when there is no token to sample.
inline Status no_token(const Run& run) {
  if (!run.adjustments.empty()) return fail(std::string(graph::no_token_message));
  return fail(ErrorCode::bad_model, std::string(graph::bad_logits_message));
}

class Runner {
 public:
  virtual ~Runner() = default;

  virtual Status weights_done() = 0;  // all are where they belong
  virtual bool ready() const = 0;
  // False while the device has as many bytes of weights on their way as it should: it will send an event.
  virtual bool takes_bytes() const { return true; }

  // Takes in what has happened, and submits or computes what is next.
  virtual Status pump() = 0;
  virtual bool wants_pump() const = 0;

  virtual void start(Run run) = 0;
  virtual void start_scoring(std::vector<u32> tokens, bool by_steps) = 0;
  virtual void cancel() = 0;  // no further tokens of this run come out
  virtual bool next(Sampled& sampled) = 0;
  virtual bool wants_mask() const = 0;              // the next token awaits it, and all before have been taken
  virtual void mask(std::vector<u32> allowed) = 0;  // of the whole vocabulary, or empty
  virtual std::span<const float> next_rows() = 0;
  virtual bool finished() const = 0;               // nothing more will come out
  virtual u32 prefill_chunk() const { return 0; }  // see Engine
  virtual u32 cached_tokens() const = 0;           // positions from 0 on whose keys and values are known to be right
  // The largest position up to `position`, at most cached_tokens(), from which a run may go on: recurrences and windows
  // cannot go back to any.
  virtual u32 resumable(u32 position) const = 0;

  // Reads out what the states hold at a position, which is resumable and to which they go back; finished() once all
  // bytes are taken.
  virtual graph::SavedStates start_save(u32 position) = 0;
  // The next bytes; empty when none have come yet. Valid until the next call.
  virtual std::span<const u8> next_saved() = 0;
  // The other way: forget() what the states hold, put() every run of what was saved (graph::StateCursor), then they are
  // restored().
  virtual void forget() = 0;
  virtual void put(const graph::StateRun& run, const u8* bytes) = 0;  // a multiple of 4 bytes
  virtual void restored(const graph::SavedStates& saved) = 0;
  virtual const graph::Graph& graph() const = 0;
  virtual u32 slack() const = 0;  // of its rings (graph::kv_capacity)

  // Of the device, when the last run began to decode; none when it has not, or on the CPU.
  virtual std::optional<gpu::Counters> counters_at_decode() const { return std::nullopt; }

  virtual bool memory_refused() const { return false; }  // pump() failed because the device has too little

  virtual MemoryUse planned() const = 0;  // staging apart
  virtual MemoryUse allocated() const = 0;
};

}  // namespace pronk::engine
