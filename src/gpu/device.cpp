#include "gpu/device.h"

#include "base/check.h"

namespace pronk::gpu {
namespace {

bool whole_words(u64 bytes) { return bytes % 4 == 0; }

bool sane_usage(u32 usage) {
  constexpr u32 all = usage_storage | usage_uniform | usage_copy_src | usage_copy_dst | usage_map_read;
  if (usage == 0 || (usage & ~all) != 0) return false;
  return (usage & usage_map_read) == 0 || (usage & ~u32{usage_map_read | usage_copy_dst}) == 0;
}

}  // namespace

void Device::check_id(BufferId id) const { CHECK(id != BufferId::none && u32(id) < buffers_.size()); }

void Device::uncount(BufferId id) {
  BufferRecord& buffer = buffers_[u32(id)];
  counters_.bytes[u32(buffer.kind)] -= buffer.size;
  buffer.size = 0;
}

BufferId Device::create_buffer(const BufferDesc& desc) {
  CHECK(desc.size > 0 && whole_words(desc.size) && sane_usage(desc.usage) && u32(desc.kind) < memory_kinds);
  const BufferId id{u32(buffers_.size())};
  buffers_.push_back({.size = desc.size, .kind = desc.kind});
  ++counters_.buffers_created;
  counters_.bytes[u32(desc.kind)] += desc.size;
  do_create_buffer(id, desc);
  return id;
}

void Device::destroy_buffer(BufferId id) {
  check_id(id);
  uncount(id);
  if (stage_ != Stage::idle) {
    destroyed_.push_back(id);
  } else {
    do_destroy_buffer(id);
  }
}

void Device::write_buffer(BufferId id, u64 offset, std::span<const u8> bytes) {
  check_id(id);
  CHECK(whole_words(offset) && whole_words(bytes.size()));
  if (bytes.empty()) return;
  counters_.uploaded_bytes += bytes.size();
  do_write_buffer(id, offset, bytes);
}

PipelineId Device::create_pipeline(const PipelineDesc& desc) {
  CHECK(!desc.bindings.empty());
  const PipelineId id{++pipelines_};
  ++counters_.pipelines_created;
  do_create_pipeline(id, desc);
  return id;
}

BindGroupId Device::create_bind_group(PipelineId pipeline, std::span<const BufferRange> ranges) {
  CHECK(pipeline != PipelineId::none && u32(pipeline) <= pipelines_);
  for (const BufferRange& range : ranges) {
    check_id(range.buffer);
    CHECK(range.size > 0 && whole_words(range.size) && whole_words(range.offset));
  }
  const BindGroupId id{++bind_groups_};
  ++counters_.bind_groups_created;
  do_create_bind_group(id, pipeline, ranges);
  return id;
}

void Device::begin() {
  CHECK(stage_ == Stage::idle);
  stage_ = Stage::begun;
  do_begin();
}

void Device::dispatch(PipelineId pipeline, BindGroupId group, u32 x, u32 y, u32 z) {
  CHECK(stage_ == Stage::begun || stage_ == Stage::dispatching);
  CHECK(pipeline != PipelineId::none && u32(pipeline) <= pipelines_);
  CHECK(group != BindGroupId::none && u32(group) <= bind_groups_);
  if (stage_ == Stage::begun) ++counters_.passes;
  stage_ = Stage::dispatching;
  ++counters_.dispatches;
  do_dispatch(pipeline, group, x, y, z);
}

void Device::copy_buffer(BufferId from, u64 from_offset, BufferId to, u64 to_offset, u64 size) {
  CHECK(stage_ != Stage::idle);
  check_id(from);
  check_id(to);
  CHECK(size > 0 && whole_words(size) && whole_words(from_offset) && whole_words(to_offset));
  stage_ = Stage::copying;
  do_copy_buffer(from, from_offset, to, to_offset, size);
}

void Device::submit() {
  CHECK(stage_ != Stage::idle);
  stage_ = Stage::idle;
  ++counters_.submits;
  do_submit();
  for (const BufferId id : destroyed_) do_destroy_buffer(id);
  destroyed_.clear();
}

void Device::read(BufferId id, u64 offset, u64 size, u32 ticket) {
  check_id(id);
  // mapAsync asks for offsets that are multiples of 8 (WebGPU §5.2).
  CHECK(size > 0 && whole_words(size) && offset % 8 == 0);
  ++counters_.reads;
  counters_.readback_bytes += size;
  do_read(id, offset, size, ticket);
}

void Device::notify_done(u32 ticket) { do_notify_done(ticket); }

bool Device::next_event(Event& event) {
  if (!has_event()) return false;
  event = std::move(events_[next_event_++]);
  if (next_event_ == events_.size()) {
    events_.clear();
    next_event_ = 0;
  } else if (next_event_ >= 64) {  // a reader that never catches up must not make the queue grow
    events_.erase(events_.begin(), events_.begin() + std::ptrdiff_t(next_event_));
    next_event_ = 0;
  }
  return true;
}

Event& Device::record(Event event) {
  if (event.kind == Event::Kind::buffer_failed && event.id < buffers_.size()) uncount(BufferId{event.id});
  events_.push_back(std::move(event));
  return events_.back();
}

}  // namespace pronk::gpu
