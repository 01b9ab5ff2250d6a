// A device with no hardware: it records every call, validates as a strict WebGPU device would, and completes pipelines,
// reads and work when the test says so. Nothing is computed; what a read gives comes from the test.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gpu/device.h"

namespace pronk::gpu {

struct NullOptions {
  Limits limits = {};
  Features features = {};
  AdapterInfo info{.vendor = "null", .architecture = "", .device = "null", .description = "no hardware"};
  u64 memory_budget = ~u64{0};     // bytes over all live buffers; a buffer beyond it gets buffer_failed
  bool complete_pipelines = true;  // at once; else complete_pipelines() does it
  bool complete_reads = true;      // at once; else complete_reads()
  bool complete_work = true;       // at once; else complete_work()
  bool keep_write_contents = false;
  std::function<double()> now_ms = {};  // the clock; stands still at 0 when absent
  // The bytes a read gives, asked for when the read completes; zeros when absent. A result of another size than asked
  // for is a bug of the test.
  std::function<std::vector<u8>(BufferId buffer, u64 offset, u64 size)> read_bytes = {};
};

class NullDevice final : public Device {
 public:
  struct BufferRecord {
    BufferDesc desc = {};
    bool destroyed = false;
    bool failed = false;
    u32 pending_reads = 0;
  };
  struct PipelineRecord {
    PipelineDesc desc = {};
    bool ready = false;
    bool failed = false;
  };
  struct BindGroupRecord {
    PipelineId pipeline = PipelineId::none;  // the one it was made for
    std::vector<BufferRange> ranges;
  };
  struct Dispatch {
    PipelineId pipeline = PipelineId::none;
    BindGroupId group = BindGroupId::none;
    u32 x = 0, y = 0, z = 0;
  };
  struct Copy {
    BufferId from = BufferId::none;
    u64 from_offset = 0;
    BufferId to = BufferId::none;
    u64 to_offset = 0;
    u64 size = 0;
  };
  struct Submission {
    std::vector<Dispatch> dispatches;
    std::vector<Copy> copies;
  };
  struct Write {
    BufferId buffer = BufferId::none;
    u64 offset = 0;
    u64 size = 0;
    std::vector<u8> contents = {};  // empty unless keep_write_contents
    std::size_t after_submits = 0;  // how many submissions came before it
  };
  struct Read {
    BufferId buffer = BufferId::none;
    u64 offset = 0;
    u64 size = 0;
    u32 ticket = 0;
    std::size_t after_submits = 0;
    bool done = false;
  };

  explicit NullDevice(NullOptions options = {});

  double now_ms() const override { return options_.now_ms ? options_.now_ms() : 0; }

  const BufferRecord& buffer(BufferId id) const { return buffers_[u32(id)]; }
  const PipelineRecord& pipeline(PipelineId id) const { return pipelines_[u32(id)]; }
  const BindGroupRecord& bind_group(BindGroupId id) const { return groups_[u32(id)]; }
  const std::vector<Submission>& submissions() const { return submissions_; }
  const std::vector<Write>& writes() const { return writes_; }
  const std::vector<Read>& reads() const { return reads_; }
  // Every rule broken so far, one line each; each was also reported as Event::error.
  const std::vector<std::string>& violations() const { return violations_; }

  std::size_t pending_pipelines() const;
  std::size_t pending_reads() const;
  std::size_t pending_work() const { return pending_work_.size(); }

  // Each completes up to `count` of the oldest that are pending, and returns how many that were.
  std::size_t complete_pipelines(std::size_t count = ~std::size_t{0});
  std::size_t complete_reads(std::size_t count = ~std::size_t{0});
  // Completes the n-th oldest of the pending reads, before all others.
  void complete_read(std::size_t n);
  std::size_t complete_work(std::size_t count = ~std::size_t{0});
  // Ends a pending pipeline in pipeline_failed.
  void fail_pipeline(PipelineId id, std::string message);
  // Pending reads fail, device_lost follows, later calls do nothing.
  void lose(std::string reason);

 private:
  void do_create_buffer(BufferId id, const BufferDesc& desc) override;
  void do_destroy_buffer(BufferId id) override;
  void do_write_buffer(BufferId id, u64 offset, std::span<const u8> bytes) override;
  void do_create_pipeline(PipelineId id, const PipelineDesc& desc) override;
  void do_create_bind_group(BindGroupId id, PipelineId pipeline, std::span<const BufferRange> ranges) override;
  void do_begin() override;
  void do_dispatch(PipelineId pipeline, BindGroupId group, u32 x, u32 y, u32 z) override;
  void do_copy_buffer(BufferId from, u64 from_offset, BufferId to, u64 to_offset, u64 size) override;
  void do_submit() override;
  void do_read(BufferId id, u64 offset, u64 size, u32 ticket) override;
  void do_notify_done(u32 ticket) override;

  void finish_read(Read& read);
  void violation(std::string message);
  bool usable(BufferId id, u32 usage, const std::string& what);
  bool inside(BufferId id, u64 offset, u64 size, const std::string& what);
  void check_pipeline_layout(const PipelineDesc& desc);
  void check_binding(BindingType type, const BufferRange& range, const std::string& what);
  void check_usage_scope(const Dispatch& dispatch);
  std::string name(BufferId id) const;
  std::string name(PipelineId id) const;

  NullOptions options_;
  u64 allocated_ = 0;
  bool lost_ = false;
  std::vector<BufferRecord> buffers_{{}};      // index: BufferId
  std::vector<PipelineRecord> pipelines_{{}};  // index: PipelineId
  std::vector<BindGroupRecord> groups_{{}};    // index: BindGroupId
  std::vector<Submission> submissions_;
  Submission recording_;
  std::vector<Write> writes_;
  std::vector<Read> reads_;
  std::size_t first_pending_read_ = 0;
  std::vector<u32> pending_work_;  // tickets
  std::vector<std::string> violations_;
};

}  // namespace pronk::gpu
