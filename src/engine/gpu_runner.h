// Replays a GpuPlan on a device. The decode loop lives on the GPU: several steps are submitted ahead (decode_pace), and
// the host reads back the four bytes of each sampled token, of several at once when they take long to come.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "engine/decode_pace.h"
#include "engine/gpu_plan.h"
#include "engine/loader.h"
#include "engine/op_run.h"
#include "engine/prefill_pace.h"
#include "engine/runner.h"

namespace pronk::engine {

MemoryUse planned_memory(const GpuPlan& plan);  // with the runner's own staging

class GpuRunner final : public Runner, private WeightSink {
 public:
  // Creates every pipeline of the plan, and its buffers and bind groups when the first weights come. model and device
  // must outlive it. self_test: before it is ready the kernels calculate something small; wrong ones are replaced by
  // safer ones, or are an error.
  // first_chunk: tokens of the first prefill submission, 0 for the default. first_steps: decode steps in flight at
  // first.
  GpuRunner(const models::Model& model, GpuPlan plan, gpu::Device& device, bool self_test = false, u32 first_chunk = 0,
            u32 first_steps = DecodePace::least);

  WeightSink& sink() { return *this; }
  Status weights_done() override;
  bool ready() const override { return weights_done_ && pipelines_pending_ == 0 && tested_; }
  bool takes_bytes() const override { return upload_marks_ < most_upload_marks; }
  Status pump() override;
  bool wants_pump() const override { return false; }

  void start(Run run) override;
  void start_scoring(std::vector<u32> tokens, bool by_steps) override;
  void cancel() override;
  bool next(Sampled& sampled) override;
  bool wants_mask() const override;
  void mask(std::vector<u32> allowed) override;
  std::span<const float> next_rows() override;
  bool finished() const override;
  u32 prefill_chunk() const override { return pace_.tokens(); }
  u32 cached_tokens() const override { return cached_; }
  u32 resumable(u32 position) const override;

  graph::SavedStates start_save(u32 position) override;
  std::span<const u8> next_saved() override;
  void forget() override;
  void put(const graph::StateRun& run, const u8* bytes) override;
  void restored(const graph::SavedStates& saved) override;
  const graph::Graph& graph() const override { return model_.graph; }
  u32 slack() const override { return plan_.slack(); }

  std::optional<gpu::Counters> counters_at_decode() const override { return counters_at_decode_; }
  bool memory_refused() const override { return memory_refused_; }

  MemoryUse planned() const override;
  MemoryUse allocated() const override;

  u32 steps_in_flight() const;

 private:
  struct Command {
    gpu::BindGroupId group;
    const Dispatch* dispatch;
  };
  using Program = std::vector<Command>;
  enum class Phase : u8 { idle, prefill, decode, score, save };

  // The device is asked to tell when it has taken in what was written after so many bytes; so many such questions may
  // be open at a time. Without that, a slow GPU's driver would hold a copy of all that it has not come to yet.
  static constexpr u64 upload_mark_bytes = 8 << 20;
  static constexpr u32 most_upload_marks = 2;

  // Blocks of a weight or of a matrix, of which some planes are to be written.
  struct BlockRun {
    u64 first_block, blocks;
    const u8* bytes;
    u32 planes;
  };
  void write(graph::WeightId weight, u64 first_block, u64 blocks, const u8* bytes, u32 planes) override;
  void write_matrix(const Matrix& matrix, u32 source, const BlockRun& run);
  void write_blocks(const Matrix& matrix, const MatrixPart& part, const BlockRun& run);
  // Numbers of a code book or of scales, from `first` on.
  void write_books(const Matrix& matrix, u64 first, std::span<const float> numbers);
  void write_scales(const Matrix& matrix, u64 first, std::span<const float> numbers);
  void write_vector(const Vector& vector, graph::WeightId weight, u64 first, u64 count, const u8* bytes);

  void mark_uploads();

  void create_buffers();
  Program prepare(const std::vector<Dispatch>& dispatches);
  gpu::BufferRange resolve(const Range& range) const;
  void write_range(const Range& range, const void* bytes, u64 size, u64 offset = 0);
  void replay(std::span<const Command> program, u32 rows, bool small_batch);

  Status take_in(const gpu::Event& event);
  void start_self_test();
  Status end_self_test(std::span<const u8> bytes);
  void use_safer_kernels();
  void token_read(u32 slot, std::span<const u8> bytes);
  Status take_tokens();
  Status take_token(u32 token);
  void submit_chunks();
  void submit_chunk(u32 rows, bool small_batch, u32 parts = 1);
  void measure_chunks();
  void begin_decode();
  void submit_steps();
  void submit_step_in_parts();
  void submit_step(gpu::BufferId readback, u64 offset);
  void read_tokens(u32 slot, u32 steps);
  void begin_forward();
  void write_adjustments();
  u64 logits_bytes() const { return u64(plan_.output_width) * sizeof(float); }
  u32 logits_slot() const { return u32(plan_.token_readback.size()); }
  void submit_score();
  void keep_states(std::optional<u32> copy);
  void go_back(u32 position);
  void submit_save();
  u32 first_row_of(const graph::KvState& state) const;
  Range place_of(const graph::StateRun& run) const;
  void wrote_to(u32 position) { written_ = std::max(written_, position); }
  bool resumes_at(u32 position) const;

  const models::Model& model_;
  GpuPlan plan_;
  gpu::Device& device_;
  std::vector<gpu::BufferId> buffers_;
  std::vector<gpu::PipelineId> pipelines_;
  Program prefill_, decode_, blocks_, adjusted_blocks_, greedy_, sampling_;
  u32 pipelines_pending_ = 0;
  bool tested_ = false;     // the kernels compute right, or nobody asked
  gpu::Features features_;  // that the kernels make use of
  OpRun test_;
  bool weights_done_ = false;
  u64 marked_bytes_ = 0;  // uploaded to the device before the last question
  u32 upload_marks_ = 0;  // questions that are open
  bool memory_refused_ = false;
  std::vector<u8> scratch_;                                // repacked bytes on their way to the device
  std::map<graph::WeightId, std::vector<float>> factors_;  // divisors of RoPE frequencies

  // The current run.
  Phase phase_ = Phase::idle;
  Run run_;
  u32 generation_ = 0;  // counts runs, so that late reads of an earlier one are told apart
  u32 fed_ = 0;         // tokens of run_ that have been submitted to prefill
  struct Chunk {
    u32 tokens;
    double submitted_ms;
  };
  PrefillPace pace_;
  std::deque<Chunk> chunks_;          // of prefill, in flight, oldest first
  std::vector<Chunk> done_chunks_;    // since the last pump()
  double chunk_done_ms_ = 0;          // when the last one was done
  u32 submitted_ = 0, received_ = 0;  // decode steps
  bool forward_ =
      false;  // the next one is on its way as far as its logits: its logits go to the host, or a mask is to come
  std::optional<std::vector<u32>> mask_;  // of that step
  bool by_steps_ = false;

  // What the states hold. Keys and values: of positions before cached_, but for those of windows whose places have been
  // taken by positions up to written_. Recurrent states: all that comes before recurrent_at_, none when that
  // is not known. Of checkpoints those up to cached_ count: what lies behind may be of steps that did nothing.
  u32 cached_ = 0, written_ = 0;
  std::optional<u32> recurrent_at_;
  graph::Checkpoints checkpoints_;
  std::optional<gpu::Counters> counters_at_decode_;
  struct TokenRead {
    u32 generation = 0;  // of the run that it serves; 0: free
    u32 steps = 0;
    double submitted_ms = 0;
    bool arrived = false;
    std::array<u32, DecodePace::most_tokens> tokens{};
  };
  DecodePace decode_pace_;
  std::vector<TokenRead> reads_;  // by each read-back buffer, its slot. The last: of logits and a token
  std::deque<u32> read_order_;    // slots of the reads in flight, oldest first
  std::vector<float> logits_;     // that came with a token
  std::deque<Sampled> tokens_;
  std::vector<float> rows_, rows_out_;
  bool rows_ready_ = false;
  graph::StateCursor saving_;
  std::vector<u8> saved_, saved_out_;  // what was read and not taken yet; what next_saved() gave
  u32 save_generation_ = 0;            // of the run that the read of states on its way serves; 0: there is none
  u32 score_generation_ = 0;           // of the run that the read of logits on its way serves; 0: there is none
};

}  // namespace pronk::engine
