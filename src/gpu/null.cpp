#include "gpu/null.h"

#include <algorithm>

#include "base/check.h"

namespace pronk::gpu {
namespace {

constexpr u32 max_uniform_buffers_per_shader_stage = 12;  // WebGPU §3.6.2; never asked for more
constexpr u32 max_bindings_per_bind_group = 1000;

const char* usage_name(u32 usage) {
  switch (usage) {
    case usage_storage:
      return "storage";
    case usage_uniform:
      return "uniform";
    case usage_copy_src:
      return "copy_src";
    case usage_copy_dst:
      return "copy_dst";
    default:
      return "map_read";
  }
}

bool overlap(const BufferRange& a, const BufferRange& b) {
  return a.offset < b.offset + b.size && b.offset < a.offset + a.size;
}

}  // namespace

NullDevice::NullDevice(NullOptions options) : options_(std::move(options)) {
  limits_ = options_.limits;
  features_ = options_.features;
  info_ = options_.info;
  computes_ = false;
}

void NullDevice::violation(std::string message) {
  violations_.push_back(message);
  record({.kind = Event::Kind::error, .message = std::move(message)});
}

std::string NullDevice::name(BufferId id) const {
  return "buffer " + std::to_string(u32(id)) + " '" + buffers_[u32(id)].desc.label + "'";
}

std::string NullDevice::name(PipelineId id) const {
  return "pipeline " + std::to_string(u32(id)) + " '" + pipelines_[u32(id)].desc.label + "'";
}

// usage 0 asks only that the buffer lives.
bool NullDevice::usable(BufferId id, u32 usage, const std::string& what) {
  const BufferRecord& buffer = buffers_[u32(id)];
  if (buffer.destroyed) {
    violation(what + ": " + name(id) + " is destroyed");
  } else if (buffer.failed) {
    violation(what + ": " + name(id) + " was refused by the device");
  } else if (usage != 0 && (buffer.desc.usage & usage) == 0) {
    violation(what + ": " + name(id) + " lacks usage " + usage_name(usage));
  } else {
    return true;
  }
  return false;
}

bool NullDevice::inside(BufferId id, u64 offset, u64 size, const std::string& what) {
  const u64 limit = buffers_[u32(id)].desc.size;
  if (offset <= limit && size <= limit - offset) return true;
  violation(what + ": " + std::to_string(size) + " bytes at " + std::to_string(offset) + " end beyond " + name(id) +
            " of " + std::to_string(limit));
  return false;
}

void NullDevice::do_create_buffer(BufferId id, const BufferDesc& desc) {
  CHECK(buffers_.size() == u32(id));
  buffers_.push_back({.desc = desc});
  std::string refusal;
  if (desc.size > limits_.max_buffer_size) {
    refusal =
        "size " + std::to_string(desc.size) + " is over max_buffer_size " + std::to_string(limits_.max_buffer_size);
  } else if (desc.size > options_.memory_budget - allocated_) {
    refusal = "out of memory: " + std::to_string(desc.size) + " more bytes exceed the budget of " +
              std::to_string(options_.memory_budget);
  } else if (lost_) {
    refusal = "the device is lost";
  }
  if (refusal.empty()) {
    allocated_ += desc.size;
    return;
  }
  buffers_.back().failed = true;
  record({.kind = Event::Kind::buffer_failed, .id = u32(id), .message = name(id) + ": " + refusal});
}

void NullDevice::do_destroy_buffer(BufferId id) {
  BufferRecord& buffer = buffers_[u32(id)];
  if (!buffer.destroyed && !buffer.failed) allocated_ -= buffer.desc.size;
  buffer.destroyed = true;
  for (std::size_t i = first_pending_read_; i < reads_.size(); ++i) {
    if (reads_[i].buffer != id || reads_[i].done) continue;
    reads_[i].done = true;
    --buffer.pending_reads;
    record({.kind = Event::Kind::read_failed, .id = reads_[i].ticket, .message = name(id) + " was destroyed"});
  }
}

void NullDevice::do_write_buffer(BufferId id, u64 offset, std::span<const u8> bytes) {
  if (lost_) return;
  if (!usable(id, usage_copy_dst, "write_buffer") || !inside(id, offset, bytes.size(), "write_buffer")) return;
  if (buffers_[u32(id)].pending_reads > 0) violation("write_buffer: " + name(id) + " has a read pending");
  writes_.push_back({.buffer = id, .offset = offset, .size = bytes.size(), .after_submits = submissions_.size()});
  if (options_.keep_write_contents) writes_.back().contents.assign(bytes.begin(), bytes.end());
}

void NullDevice::check_pipeline_layout(const PipelineDesc& desc) {
  const auto uniforms = u32(std::count(desc.bindings.begin(), desc.bindings.end(), BindingType::uniform));
  const u32 storages = u32(desc.bindings.size()) - uniforms;
  const std::string what = "create_pipeline '" + desc.label + "': ";
  if (storages > limits_.max_storage_buffers_per_shader_stage) {
    violation(what + std::to_string(storages) + " storage buffers are over max_storage_buffers_per_shader_stage " +
              std::to_string(limits_.max_storage_buffers_per_shader_stage));
  }
  if (uniforms > max_uniform_buffers_per_shader_stage) violation(what + "more than 12 uniform buffers");
  if (desc.bindings.size() > max_bindings_per_bind_group) violation(what + "more than 1000 bindings");
  if (desc.wgsl.empty()) violation(what + "no WGSL");
}

void NullDevice::do_create_pipeline(PipelineId id, const PipelineDesc& desc) {
  CHECK(pipelines_.size() == u32(id));
  pipelines_.push_back({.desc = desc});
  if (lost_) return;
  check_pipeline_layout(desc);
  if (options_.complete_pipelines) complete_pipelines();
}

void NullDevice::check_binding(BindingType type, const BufferRange& range, const std::string& what) {
  const bool uniform = type == BindingType::uniform;
  if (!usable(range.buffer, uniform ? usage_uniform : usage_storage, what)) return;
  if (!inside(range.buffer, range.offset, range.size, what)) return;
  const u64 alignment =
      uniform ? limits_.min_uniform_buffer_offset_alignment : limits_.min_storage_buffer_offset_alignment;
  const u64 largest = uniform ? limits_.max_uniform_buffer_binding_size : limits_.max_storage_buffer_binding_size;
  if (range.offset % alignment != 0) {
    violation(what + ": offset " + std::to_string(range.offset) + " is not a multiple of " + std::to_string(alignment));
  }
  if (range.size > largest) {
    violation(what + ": size " + std::to_string(range.size) + " is over the largest binding " +
              std::to_string(largest));
  }
}

void NullDevice::do_create_bind_group(BindGroupId id, PipelineId pipeline, std::span<const BufferRange> ranges) {
  CHECK(groups_.size() == u32(id));
  groups_.push_back({.pipeline = pipeline, .ranges = {ranges.begin(), ranges.end()}});
  if (lost_) return;
  const std::vector<BindingType>& types = pipelines_[u32(pipeline)].desc.bindings;
  const std::string what = "create_bind_group for " + name(pipeline);
  if (ranges.size() != types.size()) {
    violation(what + ": " + std::to_string(ranges.size()) + " ranges for " + std::to_string(types.size()) +
              " bindings");
    return;
  }
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    check_binding(types[i], ranges[i], what + ", binding " + std::to_string(i));
  }
}

void NullDevice::do_begin() { recording_ = {}; }

// WebGPU §3.4.5 (a usage scope is one dispatch; it takes whole buffers) and §14.1 (writable bindings may not alias).
void NullDevice::check_usage_scope(const Dispatch& dispatch) {
  const BindGroupRecord& group = groups_[u32(dispatch.group)];
  const std::vector<BindingType>& types = pipelines_[u32(group.pipeline)].desc.bindings;
  for (std::size_t i = 0; i < group.ranges.size(); ++i) {
    for (std::size_t j = i + 1; j < group.ranges.size(); ++j) {
      if (group.ranges[i].buffer != group.ranges[j].buffer) continue;
      const bool writes_i = types[i] == BindingType::storage_read_write;
      const bool writes_j = types[j] == BindingType::storage_read_write;
      const std::string pair = "dispatch of " + name(dispatch.pipeline) + ": bindings " + std::to_string(i) + " and " +
                               std::to_string(j) + " have " + name(group.ranges[i].buffer);
      if (writes_i != writes_j) violation(pair + " both for reading and for writing");
      const bool aliased = writes_i && writes_j && overlap(group.ranges[i], group.ranges[j]);
      if (aliased) violation(pair + " in overlapping writable ranges");
    }
  }
}

void NullDevice::do_dispatch(PipelineId pipeline, BindGroupId group, u32 x, u32 y, u32 z) {
  if (lost_) return;
  const Dispatch dispatch{.pipeline = pipeline, .group = group, .x = x, .y = y, .z = z};
  recording_.dispatches.push_back(dispatch);
  const std::string what = "dispatch of " + name(pipeline);
  const BindGroupRecord& bound = groups_[u32(group)];
  const std::vector<BindingType>& types = pipelines_[u32(bound.pipeline)].desc.bindings;
  if (!pipelines_[u32(pipeline)].ready) violation(what + ": it is not ready");
  if (types != pipelines_[u32(pipeline)].desc.bindings) {
    violation(what + ": its bindings are not those of bind group " + std::to_string(u32(group)));
  }
  const u32 limit = limits_.max_compute_workgroups_per_dimension;
  if (x > limit || y > limit || z > limit) {
    violation(what + ": grid " + std::to_string(x) + " × " + std::to_string(y) + " × " + std::to_string(z) +
              " is over max_compute_workgroups_per_dimension " + std::to_string(limit));
  }
  if (bound.ranges.size() != types.size()) return;  // reported when it was created
  check_usage_scope(dispatch);
}

void NullDevice::do_copy_buffer(BufferId from, u64 from_offset, BufferId to, u64 to_offset, u64 size) {
  if (lost_) return;
  if (from == to) violation("copy_buffer: " + name(from) + " onto itself");
  if (usable(from, usage_copy_src, "copy_buffer")) inside(from, from_offset, size, "copy_buffer");
  if (usable(to, usage_copy_dst, "copy_buffer")) inside(to, to_offset, size, "copy_buffer");
  recording_.copies.push_back({from, from_offset, to, to_offset, size});
}

// What must hold when the work is queued: no buffer of it is destroyed or mapped (WebGPU §3.4.3, GPUQueue.submit).
void NullDevice::do_submit() {
  if (lost_) return;
  for (const Dispatch& dispatch : recording_.dispatches) {
    for (const BufferRange& range : groups_[u32(dispatch.group)].ranges) {
      usable(range.buffer, 0, "submit with a dispatch of " + name(dispatch.pipeline));
    }
  }
  for (const Copy& copy : recording_.copies) {
    for (const BufferId id : {copy.from, copy.to}) {
      usable(id, 0, "submit with a copy");
      if (buffers_[u32(id)].pending_reads > 0) violation("submit with a copy: " + name(id) + " has a read pending");
    }
  }
  submissions_.push_back(std::move(recording_));
  recording_ = {};
}

void NullDevice::do_read(BufferId id, u64 offset, u64 size, u32 ticket) {
  BufferRecord& buffer = buffers_[u32(id)];
  Read read{.buffer = id, .offset = offset, .size = size, .ticket = ticket, .after_submits = submissions_.size()};
  bool good = !lost_ && usable(id, usage_map_read, "read") && inside(id, offset, size, "read");
  if (good && buffer.pending_reads > 0) {
    violation("read: " + name(id) + " has a read pending");
    good = false;
  }
  read.done = !good;
  reads_.push_back(read);
  if (!good) {
    const std::string why = lost_ ? "the device is lost" : violations_.back();
    record({.kind = Event::Kind::read_failed, .id = ticket, .message = why});
    return;
  }
  ++buffer.pending_reads;
  if (options_.complete_reads) complete_reads();
}

void NullDevice::do_notify_done(u32 ticket) {
  if (lost_) return;
  pending_work_.push_back(ticket);
  if (options_.complete_work) complete_work();
}

std::size_t NullDevice::pending_pipelines() const {
  return std::size_t(std::count_if(pipelines_.begin() + 1, pipelines_.end(),
                                   [](const PipelineRecord& p) { return !p.ready && !p.failed; }));
}

std::size_t NullDevice::pending_reads() const {
  return std::size_t(std::count_if(reads_.begin() + std::ptrdiff_t(first_pending_read_), reads_.end(),
                                   [](const Read& read) { return !read.done; }));
}

std::size_t NullDevice::complete_pipelines(std::size_t count) {
  std::size_t completed = 0;
  for (std::size_t i = 1; i < pipelines_.size() && completed < count && !lost_; ++i) {
    PipelineRecord& pipeline = pipelines_[i];
    if (pipeline.ready || pipeline.failed) continue;
    pipeline.ready = true;
    ++completed;
    record({.kind = Event::Kind::pipeline_ready, .id = u32(i)});
  }
  return completed;
}

std::size_t NullDevice::complete_reads(std::size_t count) {
  std::size_t completed = 0;
  while (first_pending_read_ < reads_.size() && completed < count && !lost_) {
    Read& read = reads_[first_pending_read_++];
    if (read.done) continue;
    finish_read(read);
    ++completed;
  }
  return completed;
}

void NullDevice::complete_read(std::size_t n) {
  for (std::size_t i = first_pending_read_; i < reads_.size() && !lost_; ++i) {
    if (reads_[i].done || n-- > 0) continue;
    finish_read(reads_[i]);
    return;
  }
}

void NullDevice::finish_read(Read& read) {
  read.done = true;
  --buffers_[u32(read.buffer)].pending_reads;
  std::vector<u8> bytes(options_.read_bytes ? 0 : read.size);
  if (options_.read_bytes) bytes = options_.read_bytes(read.buffer, read.offset, read.size);
  CHECK(bytes.size() == read.size);
  record({.kind = Event::Kind::read_done, .id = read.ticket, .message = {}, .bytes = std::move(bytes)});
}

std::size_t NullDevice::complete_work(std::size_t count) {
  const std::size_t completed = lost_ ? 0 : std::min(count, pending_work_.size());
  for (std::size_t i = 0; i < completed; ++i) record({.kind = Event::Kind::work_done, .id = pending_work_[i]});
  pending_work_.erase(pending_work_.begin(), pending_work_.begin() + std::ptrdiff_t(completed));
  return completed;
}

void NullDevice::fail_pipeline(PipelineId id, std::string message) {
  PipelineRecord& pipeline = pipelines_[u32(id)];
  CHECK(!pipeline.ready && !pipeline.failed);
  pipeline.failed = true;
  record({.kind = Event::Kind::pipeline_failed, .id = u32(id), .message = std::move(message)});
}

void NullDevice::lose(std::string reason) {
  if (lost_) return;
  for (; first_pending_read_ < reads_.size(); ++first_pending_read_) {
    Read& read = reads_[first_pending_read_];
    if (read.done) continue;
    read.done = true;
    --buffers_[u32(read.buffer)].pending_reads;
    record({.kind = Event::Kind::read_failed, .id = read.ticket, .message = "the device is lost"});
  }
  lost_ = true;
  record({.kind = Event::Kind::device_lost, .message = std::move(reason)});
}

}  // namespace pronk::gpu
