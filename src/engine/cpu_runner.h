// The same runs on the CPU. A pump() makes a bounded number of multiply-adds, whatever the model's size, so that the
// caller can cancel.
#pragma once

#include <deque>
#include <memory>

#include "cpu/executor.h"
#include "cpu/sampler.h"
#include "engine/runner.h"
#include "engine/weight_memory.h"
#include "models/model.h"

namespace pronk::engine {

class CpuRunner final : public Runner {
 public:
  // model and weights must outlive it.
  CpuRunner(const models::Model& model, const WeightMemory& weights, u32 context, graph::KvTypes kv, bool scoring,
            graph::Activations activations = graph::Activations::f32, u32 threads = 1);

  static MemoryUse plan(const models::Model& model, u32 context, graph::KvTypes kv, bool scoring,
                        graph::Activations activations, u32 threads = 1);  // weights apart

  Status weights_done() override;
  bool ready() const override { return executor_ != nullptr; }
  Status pump() override;
  bool wants_pump() const override { return phase_ != Phase::idle && !awaits_mask(); }

  void start(Run run) override;
  void start_scoring(std::vector<u32> tokens, bool by_steps) override;
  void cancel() override;
  bool next(Sampled& sampled) override;
  bool wants_mask() const override { return awaits_mask() && tokens_.empty(); }
  void mask(std::vector<u32> allowed) override;
  std::span<const float> next_rows() override;
  bool finished() const override { return phase_ == Phase::idle && tokens_.empty() && rows_.empty() && saving_.done(); }
  u32 cached_tokens() const override { return cached_; }
  u32 resumable(u32 position) const override { return executor_->resumable(position); }

  graph::SavedStates start_save(u32 position) override;
  std::span<const u8> next_saved() override;
  void forget() override;
  void put(const graph::StateRun& run, const u8* bytes) override;
  void restored(const graph::SavedStates& saved) override;
  const graph::Graph& graph() const override { return model_.graph; }
  u32 slack() const override { return chunk_; }

  MemoryUse planned() const override;
  MemoryUse allocated() const override;

  static constexpr u64 pump_multiply_adds = 1 << 26;  // of a thread: some tens of milliseconds in a browser
  cpu::Work work() const { return executor_->work(); }

 private:
  enum class Phase : u8 { idle, prefill, decode, score };

  void begin();
  bool awaits_mask() const { return phase_ == Phase::decode && run_.masked && !mask_; }
  Status end_decode();

  const models::Model& model_;
  const WeightMemory& weights_;
  u32 context_;
  graph::KvTypes kv_;
  bool scoring_;
  graph::Activations activations_;
  u32 threads_;
  u32 chunk_;
  std::unique_ptr<cpu::Executor<float>> executor_;
  cpu::Sampler sampler_;

  Phase phase_ = Phase::idle;
  bool computing_ = false;  // the executor has begun what phase_ says and is not done
  Run run_;
  u32 fed_ = 0, sampled_ = 0, cached_ = 0;
  u32 chunk_rows_ = 0;  // tokens of the chunk under way
  u32 last_ = 0;        // the token that the next step feeds
  bool by_steps_ = false;
  std::optional<std::vector<u32>> mask_;  // of the step under way, once it is there
  std::vector<float> adjusted_;           // logits
  std::deque<Sampled> tokens_;
  std::span<const float> rows_;
  graph::StateCursor saving_;
};

}  // namespace pronk::engine
