#include "engine/op_run.h"

#include <algorithm>

#include "base/check.h"

namespace pronk::engine {
namespace {

constexpr u64 alignment = 256;  // of binding offsets, on every device

bool is_written(const OpCase& c, u32 memory) {
  for (const OpStep& step : c.steps) {
    for (std::size_t b = 0; b < step.memory.size(); ++b) {
      if (step.memory[b] == memory && step.kernel.bindings[b] == gpu::BindingType::storage_read_write) return true;
    }
  }
  return false;
}

}  // namespace

gpu::BufferId OpRun::create_buffer(u64 size, u32 usage) {
  buffers_.push_back(device_.create_buffer({.label = "operation test", .size = size, .usage = usage}));
  return buffers_.back();
}

// A dispatch must not bind one buffer read-only and writable: what any step writes has a buffer of its own, all the
// rest shares one.
void OpRun::create(std::size_t index, const Pipelines& pipelines) {
  const OpCase& c = cases_[index];
  std::vector<gpu::BufferRange> ranges(c.memory.size());
  u64 end = 0;
  for (u32 m = 0; m < c.memory.size(); ++m) {
    CHECK(!c.memory[m].empty() && c.memory[m].size() % 16 == 0);
    const bool written = is_written(c, m);
    const u64 offset = written ? 0 : align_up(end, alignment);
    ranges[m] = {gpu::BufferId::none, offset, c.memory[m].size()};
    if (!written) end = offset + c.memory[m].size();
  }
  const gpu::BufferId constants =
      end > 0 ? create_buffer(end, gpu::usage_storage | gpu::usage_uniform | gpu::usage_copy_dst) : gpu::BufferId::none;
  for (u32 m = 0; m < c.memory.size(); ++m) {
    const bool written = is_written(c, m);
    const u32 usage = gpu::usage_storage | gpu::usage_uniform | gpu::usage_copy_src | gpu::usage_copy_dst;
    ranges[m].buffer = written ? create_buffer(c.memory[m].size(), usage) : constants;
    if (written) written_.push_back({index, m, ranges[m].buffer});
    device_.write_buffer(ranges[m].buffer, ranges[m].offset, c.memory[m]);
  }
  for (const OpStep& step : c.steps) {
    std::vector<gpu::BufferRange> bound;
    for (u32 m : step.memory) bound.push_back(ranges[m]);
    const gpu::PipelineId pipeline = pipelines(step.kernel);
    commands_.push_back({pipeline, device_.create_bind_group(pipeline, bound), step.grid});
  }
}

void OpRun::create(const Pipelines& pipelines) {
  CHECK(!running_);
  free_buffers();
  commands_.clear();
  written_.clear();
  for (std::size_t i = 0; i < cases_.size(); ++i) create(i, pipelines);
}

void OpRun::dispatch(u32 first, u32 count) {
  for (const Command& c : std::span(commands_).subspan(first, count))
    device_.dispatch(c.pipeline, c.group, c.grid.x, c.grid.y, c.grid.z);
}

void OpRun::start(std::vector<OpCase> cases, const Pipelines& pipelines, u32 ticket) {
  cases_ = std::move(cases);
  create(pipelines);
  u64 size = 0;
  for (const Written& w : written_) size += cases_[w.op_case].memory[w.memory].size();
  const gpu::BufferId readback = create_buffer(size, gpu::usage_map_read | gpu::usage_copy_dst);
  device_.begin();
  dispatch(0, u32(commands_.size()));
  u64 offset = 0;
  for (const Written& w : written_) {
    const u64 bytes = cases_[w.op_case].memory[w.memory].size();
    device_.copy_buffer(w.buffer, 0, readback, offset, bytes);
    offset += bytes;
  }
  device_.submit();
  device_.read(readback, 0, size, ticket);
  running_ = true;
}

void OpRun::finish(std::span<const u8> bytes) {
  CHECK(running_);
  running_ = false;
  u64 offset = 0;
  for (const Written& w : written_) {
    auto& memory = cases_[w.op_case].memory[w.memory];
    CHECK(offset + memory.size() <= bytes.size());
    std::copy_n(bytes.data() + offset, memory.size(), memory.data());
    offset += memory.size();
  }
  free_buffers();
}

void OpRun::prepare(OpCase op_case, const Pipelines& pipelines) {
  cases_ = {std::move(op_case)};
  create(pipelines);
}

void OpRun::submit_repeated(u32 times, u32 first_step, u32 steps) {
  device_.begin();
  for (u32 i = 0; i < times; ++i) dispatch(first_step, steps);
  device_.submit();
}

void OpRun::free_buffers() {
  for (const gpu::BufferId id : buffers_) device_.destroy_buffer(id);
  buffers_.clear();
}

}  // namespace pronk::engine
