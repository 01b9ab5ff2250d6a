// A device of other limits, features or faults in front of a real one: what plans for small devices compute, and what
// wrong devices do to an engine, can be seen on any.
#pragma once

#include <functional>
#include <memory>

#include "gpu/device.h"

namespace pronk::test {

class LimitedDevice final : public gpu::Device {
 public:
  LimitedDevice(std::unique_ptr<gpu::Device> inner, const gpu::Limits& limits) : inner_(std::move(inner)) {
    limits_ = limits;
    features_ = inner_->features();
    info_ = inner_->info();
    computes_ = inner_->computes();
  }

  // Claims these features and no name; edit changes every kernel before it is compiled.
  LimitedDevice(std::unique_ptr<gpu::Device> inner, const gpu::Features& features,
                std::function<void(gpu::PipelineDesc&)> edit)
      : LimitedDevice(std::move(inner), gpu::Limits()) {
    limits_ = inner_->limits();
    features_ = features;
    info_ = {};  // of no class that has choices of its own
    edit_ = std::move(edit);
  }

  double now_ms() const override { return inner_->now_ms(); }

  void poll() override {
    inner_->poll();
    for (gpu::Event event; inner_->next_event(event);) record(std::move(event));
  }

 private:
  // Both number what they make in the same order.
  void do_create_buffer(gpu::BufferId, const gpu::BufferDesc& desc) override { inner_->create_buffer(desc); }
  void do_destroy_buffer(gpu::BufferId id) override { inner_->destroy_buffer(id); }
  void do_write_buffer(gpu::BufferId id, u64 offset, std::span<const u8> bytes) override {
    inner_->write_buffer(id, offset, bytes);
  }
  void do_create_pipeline(gpu::PipelineId, const gpu::PipelineDesc& desc) override {
    gpu::PipelineDesc edited = desc;
    if (edit_) edit_(edited);
    inner_->create_pipeline(edited);
  }
  void do_create_bind_group(gpu::BindGroupId, gpu::PipelineId pipeline,
                            std::span<const gpu::BufferRange> ranges) override {
    inner_->create_bind_group(pipeline, ranges);
  }
  void do_begin() override { inner_->begin(); }
  void do_dispatch(gpu::PipelineId pipeline, gpu::BindGroupId group, u32 x, u32 y, u32 z) override {
    inner_->dispatch(pipeline, group, x, y, z);
  }
  void do_copy_buffer(gpu::BufferId from, u64 from_offset, gpu::BufferId to, u64 to_offset, u64 size) override {
    inner_->copy_buffer(from, from_offset, to, to_offset, size);
  }
  void do_submit() override { inner_->submit(); }
  void do_read(gpu::BufferId id, u64 offset, u64 size, u32 ticket) override { inner_->read(id, offset, size, ticket); }
  void do_notify_done(u32 ticket) override { inner_->notify_done(ticket); }

  std::unique_ptr<gpu::Device> inner_;
  std::function<void(gpu::PipelineDesc&)> edit_;
};

}  // namespace pronk::test
