// The conversation of an engine, on whatever runner it has.
#pragma once

#include <vector>

#include "engine/runner.h"
#include "engine/saved_session.h"
#include "engine/weight_sample.h"
#include "pronk/pronk.h"

namespace pronk::engine {

class RunnerSession final : public Session {
 public:
  // engine_status: of the engine, looked at by each call. All references must outlive it.
  RunnerSession(const Model& model, Runner& runner, u32 context, const LoadOptions& options, const WeightSample& sample,
                const Status& engine_status)
      : model_(model),
        runner_(runner),
        context_(context),
        scoring_(options.scoring),
        embedding_(options.embedding),
        kv_(options.kv),
        sample_(sample),
        engine_status_(engine_status) {}

  Status start(std::span<const u32> tokens, const GenerateOptions& options) override;
  bool next(u32& token) override;
  bool running() const override { return !runner_.finished(); }
  Finish finish() const override { return finish_; }
  void cancel() override;
  u32 reused_tokens() const override { return reused_; }
  bool wants_mask() const override { return runner_.wants_mask(); }
  Status mask(std::span<const u32> allowed) override;
  std::span<const graph::TokenLogprob> logprobs() const override { return sampled_.logprobs; }

  Result<std::vector<u8>> save() override;
  std::span<const u8> next_saved() override { return runner_.next_saved(); }
  Result<u64> restore(std::span<const u8> head) override;
  Status put_saved(std::span<const u8> bytes) override;

  Status score(std::span<const u32> tokens, bool by_steps) override;
  std::span<const float> next_rows() override { return runner_.next_rows(); }

 private:
  Status check() const;
  Status check_saving() const;
  Status check(std::span<const u32> tokens) const;
  Status check_range(std::span<const u32> tokens) const;
  Status check(const GenerateOptions& options) const;

  const Model& model_;
  Runner& runner_;
  u32 context_;
  bool scoring_, embedding_;
  graph::KvTypes kv_;
  const WeightSample& sample_;
  const Status& engine_status_;
  std::vector<u32> history_;  // the last prompt and the tokens taken since
  std::vector<u32> ends_;     // tokens that end the running generation
  std::vector<u32> banned_;   // tokens that its biases ban, in order
  Sampled sampled_;           // what next() gave last
  u32 wanted_ = 0, taken_ = 0, reused_ = 0;
  Finish finish_ = Finish::length;
  SavedSession restored_;  // what is being put back, and where
  graph::StateCursor putting_;
  u64 missing_ = 0;  // bytes of it
};

}  // namespace pronk::engine
