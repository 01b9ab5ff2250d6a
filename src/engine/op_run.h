// Runs op cases on a device: buffers, one submission, one read. It waits for nothing; the owner of the device's events
// says when the read is done.
#pragma once

#include <functional>
#include <vector>

#include "engine/op_case.h"

namespace pronk::engine {

class OpRun {
 public:
  // Pipelines that are ready, for a step's kernel.
  using Pipelines = std::function<gpu::PipelineId(const gpu::PipelineDesc&)>;

  // The device must outlive it.
  explicit OpRun(gpu::Device& device) : device_(device) {}
  ~OpRun() { free_buffers(); }
  OpRun(const OpRun&) = delete;
  OpRun& operator=(const OpRun&) = delete;

  // Submits all steps, case by case, and the read of what they write, which ends in read_done with the ticket.
  void start(std::vector<OpCase> cases, const Pipelines& pipelines, u32 ticket);
  bool running() const { return running_; }
  // The bytes of read_done: puts them into the cases' memory and frees all buffers.
  void finish(std::span<const u8> bytes);

  // Submits steps of one case over and over, with nothing read; for timing. Buffers stay until free_buffers().
  void prepare(OpCase op_case, const Pipelines& pipelines);
  void submit_repeated(u32 times) { submit_repeated(times, 0, u32(commands_.size())); }
  void submit_repeated(u32 times, u32 first_step, u32 steps);
  void free_buffers();
  void forget_cases() { cases_ = {}; }  // and their memory on the host

  std::span<const OpCase> cases() const { return cases_; }
  OpResult result(std::size_t i) const { return check_answers(cases_[i], cases_[i].memory); }

 private:
  struct Command {
    gpu::PipelineId pipeline;
    gpu::BindGroupId group;
    kernels::Grid grid;
  };
  struct Written {
    std::size_t op_case;
    u32 memory;
    gpu::BufferId buffer;
  };

  void create(const Pipelines& pipelines);
  void create(std::size_t op_case, const Pipelines& pipelines);
  gpu::BufferId create_buffer(u64 size, u32 usage);
  void dispatch(u32 first, u32 count);

  gpu::Device& device_;
  std::vector<OpCase> cases_;
  std::vector<gpu::BufferId> buffers_;
  std::vector<Command> commands_;
  std::vector<Written> written_;
  bool running_ = false;
};

}  // namespace pronk::engine
