// The null device: what it records, what it refuses, and that a test decides when things complete.
#include "gpu/null.h"

#include <gtest/gtest.h>

#include <deque>

namespace pronk::gpu {
namespace {

constexpr u32 storage = usage_storage | usage_copy_src | usage_copy_dst;

PipelineDesc pipeline_of(std::vector<BindingType> bindings) {
  return {.label = "kernel", .wgsl = "@compute @workgroup_size(1) fn main() {}", .bindings = std::move(bindings)};
}

BufferId buffer_of(Device& device, u64 size, u32 usage = storage, MemoryKind kind = MemoryKind::activations) {
  return device.create_buffer({.label = "buffer", .size = size, .usage = usage, .kind = kind});
}

std::vector<Event> drain(Device& device) {
  std::vector<Event> events;
  for (Event event; device.next_event(event);) events.push_back(std::move(event));
  return events;
}

// The only violation, which must also have been reported as the only error event.
std::string only_violation(NullDevice& device) {
  std::vector<std::string> errors;
  for (Event& event : drain(device)) {
    if (event.kind == Event::Kind::error) errors.push_back(event.message);
  }
  EXPECT_EQ(errors, device.violations());
  EXPECT_EQ(errors.size(), 1u);
  return errors.empty() ? "" : errors[0];
}

void expect_says(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << text << "' should say '" << part << "'";
}

TEST(NullDevice, RecordsWhatItWasAskedFor) {
  NullDevice device({.keep_write_contents = true});
  const BufferId a = buffer_of(device, 1024, storage, MemoryKind::weights);
  const BufferId b = buffer_of(device, 512, usage_map_read | usage_copy_dst, MemoryKind::readback);
  const std::vector<u8> bytes{1, 2, 3, 4};
  device.write_buffer(a, 8, bytes);
  const PipelineId pipeline = device.create_pipeline(pipeline_of({BindingType::storage_read_write}));
  const BindGroupId group = device.create_bind_group(pipeline, std::vector<BufferRange>{{a, 256, 64}});
  device.begin();
  device.dispatch(pipeline, group, 3, 2);
  device.dispatch(pipeline, group, 1);
  device.copy_buffer(a, 4, b, 8, 16);
  device.submit();
  device.read(b, 8, 16, 77);

  EXPECT_TRUE(device.violations().empty());
  ASSERT_EQ(device.writes().size(), 1u);
  EXPECT_EQ(device.writes()[0].contents, bytes);
  EXPECT_EQ(device.writes()[0].after_submits, 0u);
  ASSERT_EQ(device.submissions().size(), 1u);
  ASSERT_EQ(device.submissions()[0].dispatches.size(), 2u);
  EXPECT_EQ(device.submissions()[0].dispatches[0].y, 2u);
  ASSERT_EQ(device.submissions()[0].copies.size(), 1u);
  EXPECT_EQ(device.submissions()[0].copies[0].to_offset, 8u);
  EXPECT_EQ(device.bind_group(group).ranges[0].offset, 256u);
  ASSERT_EQ(device.reads().size(), 1u);
  EXPECT_EQ(device.reads()[0].after_submits, 1u);

  const Counters& counters = device.counters();
  EXPECT_EQ(counters.buffers_created, 2u);
  EXPECT_EQ(counters.bind_groups_created, 1u);
  EXPECT_EQ(counters.pipelines_created, 1u);
  EXPECT_EQ(counters.dispatches, 2u);
  EXPECT_EQ(counters.passes, 1u);
  EXPECT_EQ(counters.submits, 1u);
  EXPECT_EQ(counters.reads, 1u);
  EXPECT_EQ(counters.readback_bytes, 16u);
  EXPECT_EQ(counters.uploaded_bytes, 4u);
  EXPECT_EQ(counters.bytes[u32(MemoryKind::weights)], 1024u);
  EXPECT_EQ(counters.bytes[u32(MemoryKind::readback)], 512u);
  device.destroy_buffer(a);
  device.destroy_buffer(a);  // twice is once
  EXPECT_EQ(counters.bytes[u32(MemoryKind::weights)], 0u);
}

TEST(NullDevice, CompletesWhenTold) {
  NullDevice device({.complete_pipelines = false, .complete_reads = false, .complete_work = false});
  const PipelineId first = device.create_pipeline(pipeline_of({BindingType::uniform}));
  const PipelineId second = device.create_pipeline(pipeline_of({BindingType::uniform}));
  device.notify_done(5);
  EXPECT_FALSE(device.has_event());
  EXPECT_EQ(device.pending_pipelines(), 2u);
  EXPECT_EQ(device.complete_pipelines(1), 1u);
  device.fail_pipeline(second, "line 3: no such thing");
  EXPECT_EQ(device.complete_work(), 1u);
  const std::vector<Event> events = drain(device);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].kind, Event::Kind::pipeline_ready);
  EXPECT_EQ(events[0].id, u32(first));
  EXPECT_EQ(events[1].kind, Event::Kind::pipeline_failed);
  EXPECT_EQ(events[1].message, "line 3: no such thing");
  EXPECT_EQ(events[2].kind, Event::Kind::work_done);
  EXPECT_EQ(events[2].id, 5u);
  EXPECT_EQ(device.pending_pipelines(), 0u);
}

// How the decode loop is tested: steps are submitted ahead and no read has completed.
TEST(NullDevice, ShowsStepsInFlight) {
  u8 next_token = 40;
  NullOptions options{.complete_reads = false};
  options.read_bytes = [&](BufferId, u64, u64 size) { return std::vector<u8>(size, next_token++); };
  NullDevice device(options);
  const BufferId state = buffer_of(device, 256);
  const PipelineId step = device.create_pipeline(pipeline_of({BindingType::storage_read_write}));
  const BindGroupId group = device.create_bind_group(step, std::vector<BufferRange>{{state, 0, 256}});
  std::vector<BufferId> ring;
  for (int i = 0; i < 4; ++i) ring.push_back(buffer_of(device, 4, usage_map_read | usage_copy_dst));
  for (u32 i = 0; i < 4; ++i) {
    device.begin();
    device.dispatch(step, group, 1);
    device.copy_buffer(state, 0, ring[i], 0, 4);
    device.submit();
    device.read(ring[i], 0, 4, i);
  }
  EXPECT_EQ(device.submissions().size(), 4u);
  EXPECT_EQ(device.pending_reads(), 4u);
  drain(device);
  EXPECT_EQ(device.complete_reads(2), 2u);
  const std::vector<Event> events = drain(device);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].id, 1u);
  EXPECT_EQ(events[1].bytes, std::vector<u8>(4, 41));
  EXPECT_EQ(device.pending_reads(), 2u);
  EXPECT_TRUE(device.violations().empty());
}

TEST(NullDevice, RefusesBuffersOverLimitAndBudget) {
  NullDevice device({.limits = {.max_buffer_size = 4096}, .memory_budget = 6000});
  const BufferId large = buffer_of(device, 4100);
  const BufferId fits = buffer_of(device, 4000);
  const BufferId beyond = buffer_of(device, 2004);
  std::vector<Event> events = drain(device);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, Event::Kind::buffer_failed);
  EXPECT_EQ(events[0].id, u32(large));
  expect_says(events[0].message, "max_buffer_size 4096");
  EXPECT_EQ(events[1].id, u32(beyond));
  expect_says(events[1].message, "out of memory");
  EXPECT_EQ(device.counters().bytes[u32(MemoryKind::activations)], 4000u);
  device.destroy_buffer(beyond);
  device.destroy_buffer(fits);
  EXPECT_EQ(device.counters().bytes[u32(MemoryKind::activations)], 0u);
  buffer_of(device, 4000);  // the memory is free again
  EXPECT_FALSE(device.has_event());
}

TEST(NullDevice, SeesMissingUsage) {
  NullDevice device;
  const BufferId uniform = buffer_of(device, 256, usage_uniform | usage_copy_dst);
  const PipelineId pipeline = device.create_pipeline(pipeline_of({BindingType::storage_read}));
  device.create_bind_group(pipeline, std::vector<BufferRange>{{uniform, 0, 64}});
  expect_says(only_violation(device), "lacks usage storage");
}

TEST(NullDevice, SeesMisalignedAndOversizedBindings) {
  NullDevice device({.limits = {.max_storage_buffer_binding_size = 1024}});
  const BufferId buffer = buffer_of(device, 4096);
  const PipelineId pipeline = device.create_pipeline(pipeline_of({BindingType::storage_read}));
  device.create_bind_group(pipeline, std::vector<BufferRange>{{buffer, 128, 64}});
  device.create_bind_group(pipeline, std::vector<BufferRange>{{buffer, 0, 1028}});
  device.create_bind_group(pipeline, std::vector<BufferRange>{{buffer, 3840, 260}});
  device.create_bind_group(pipeline, std::vector<BufferRange>{{buffer, 0, 64}, {buffer, 256, 64}});
  ASSERT_EQ(device.violations().size(), 4u);
  expect_says(device.violations()[0], "not a multiple of 256");
  expect_says(device.violations()[1], "over the largest binding 1024");
  expect_says(device.violations()[2], "end beyond");
  expect_says(device.violations()[3], "2 ranges for 1 bindings");
}

TEST(NullDevice, SeesTooManyStorageBuffers) {
  NullDevice device;
  device.create_pipeline(pipeline_of(std::vector<BindingType>(8, BindingType::storage_read)));
  EXPECT_TRUE(device.violations().empty());
  device.create_pipeline(pipeline_of(std::vector<BindingType>(9, BindingType::storage_read)));
  expect_says(only_violation(device), "max_storage_buffers_per_shader_stage 8");
}

TEST(NullDevice, AppliesTheUsageScopeRule) {
  NullDevice device;
  const BufferId buffer = buffer_of(device, 4096);
  const auto dispatch = [&](BindingType a, BindingType b, u64 second_offset) {
    const PipelineId pipeline = device.create_pipeline(pipeline_of({a, b}));
    const std::vector<BufferRange> ranges{{buffer, 0, 512}, {buffer, second_offset, 512}};
    const BindGroupId group = device.create_bind_group(pipeline, ranges);
    device.begin();
    device.dispatch(pipeline, group, 1);
    device.submit();
  };
  dispatch(BindingType::storage_read, BindingType::storage_read, 0);
  dispatch(BindingType::storage_read_write, BindingType::storage_read_write, 1024);
  EXPECT_TRUE(device.violations().empty());
  dispatch(BindingType::storage_read, BindingType::storage_read_write, 1024);  // whole buffers count, not ranges
  dispatch(BindingType::storage_read_write, BindingType::storage_read_write, 256);
  ASSERT_EQ(device.violations().size(), 2u);
  expect_says(device.violations()[0], "both for reading and for writing");
  expect_says(device.violations()[1], "overlapping writable ranges");
}

TEST(NullDevice, ChecksDispatches) {
  NullDevice device({.complete_pipelines = false});
  const BufferId buffer = buffer_of(device, 256);
  const PipelineId pipeline = device.create_pipeline(pipeline_of({BindingType::storage_read}));
  const PipelineId other = device.create_pipeline(pipeline_of({BindingType::storage_read_write}));
  const PipelineId same = device.create_pipeline(pipeline_of({BindingType::storage_read}));
  const BindGroupId group = device.create_bind_group(pipeline, std::vector<BufferRange>{{buffer, 0, 256}});
  device.begin();
  device.dispatch(pipeline, group, 1);
  device.complete_pipelines();
  device.dispatch(same, group, 65535);
  device.dispatch(pipeline, group, 1, 65536);
  device.dispatch(other, group, 1);
  device.submit();
  ASSERT_EQ(device.violations().size(), 3u);
  expect_says(device.violations()[0], "not ready");
  expect_says(device.violations()[1], "max_compute_workgroups_per_dimension 65535");
  expect_says(device.violations()[2], "not those of bind group");
}

TEST(NullDevice, ChecksCopiesWritesAndReads) {
  NullDevice device({.complete_reads = false});
  const BufferId a = buffer_of(device, 64);
  const BufferId staging = buffer_of(device, 64, usage_map_read | usage_copy_dst);
  device.write_buffer(a, 60, std::vector<u8>(8));
  device.begin();
  device.copy_buffer(a, 0, staging, 32, 36);
  device.submit();
  device.begin();
  device.copy_buffer(a, 0, a, 32, 4);
  device.submit();
  device.read(a, 0, 4, 1);
  ASSERT_EQ(device.violations().size(), 4u);
  expect_says(device.violations()[0], "write_buffer: 8 bytes at 60 end beyond");
  expect_says(device.violations()[1], "copy_buffer: 36 bytes at 32 end beyond");
  expect_says(device.violations()[2], "onto itself");
  expect_says(device.violations()[3], "lacks usage map_read");
  const std::vector<Event> events = drain(device);
  EXPECT_EQ(events.back().kind, Event::Kind::read_failed);
  EXPECT_EQ(events.back().id, 1u);
}

TEST(NullDevice, GuardsABufferWhileItIsRead) {
  NullDevice device({.complete_reads = false});
  const BufferId a = buffer_of(device, 64);
  const BufferId staging = buffer_of(device, 64, usage_map_read | usage_copy_dst);
  const auto copy = [&] {
    device.begin();
    device.copy_buffer(a, 0, staging, 0, 4);
    device.submit();
  };
  copy();
  device.read(staging, 0, 4, 1);
  copy();
  device.read(staging, 0, 4, 2);
  ASSERT_EQ(device.violations().size(), 2u);
  expect_says(device.violations()[0], "has a read pending");
  expect_says(device.violations()[1], "has a read pending");
  device.complete_reads();
  copy();
  EXPECT_EQ(device.violations().size(), 2u);
}

TEST(NullDevice, SeesUseAfterDestruction) {
  NullDevice device;
  const BufferId buffer = buffer_of(device, 256);
  const PipelineId pipeline = device.create_pipeline(pipeline_of({BindingType::storage_read}));
  const BindGroupId group = device.create_bind_group(pipeline, std::vector<BufferRange>{{buffer, 0, 256}});
  device.begin();
  device.dispatch(pipeline, group, 1);
  device.destroy_buffer(buffer);  // takes effect after the submission
  EXPECT_FALSE(device.buffer(buffer).destroyed);
  device.submit();
  EXPECT_TRUE(device.buffer(buffer).destroyed);
  EXPECT_TRUE(device.violations().empty());
  device.begin();
  device.dispatch(pipeline, group, 1);
  device.submit();
  device.write_buffer(buffer, 0, std::vector<u8>(4));
  ASSERT_EQ(device.violations().size(), 2u);
  expect_says(device.violations()[0], "is destroyed");
  expect_says(device.violations()[1], "write_buffer: buffer 1 'buffer' is destroyed");
}

TEST(NullDevice, Loss) {
  NullDevice device({.complete_reads = false});
  const BufferId staging = buffer_of(device, 64, usage_map_read | usage_copy_dst);
  device.read(staging, 0, 4, 9);
  device.lose("the driver went away");
  device.write_buffer(staging, 0, std::vector<u8>(4));
  device.read(staging, 0, 4, 10);
  const std::vector<Event> events = drain(device);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].kind, Event::Kind::read_failed);
  EXPECT_EQ(events[0].id, 9u);
  EXPECT_EQ(events[1].kind, Event::Kind::device_lost);
  EXPECT_EQ(events[1].message, "the driver went away");
  EXPECT_EQ(events[2].kind, Event::Kind::read_failed);
  EXPECT_TRUE(device.writes().empty());
  EXPECT_EQ(device.complete_reads(), 0u);
}

TEST(Device, KeepsEventsInOrderWhenNeverDrained) {
  NullDevice device;
  std::deque<u32> expected;
  Event event;
  for (u32 i = 0; i < 1000; ++i) {
    device.notify_done(2 * i);
    device.notify_done(2 * i + 1);
    expected.insert(expected.end(), {2 * i, 2 * i + 1});
    ASSERT_TRUE(device.next_event(event));
    ASSERT_EQ(event.id, expected.front());
    expected.pop_front();
  }
  while (device.next_event(event)) {
    ASSERT_EQ(event.id, expected.front());
    expected.pop_front();
  }
  EXPECT_TRUE(expected.empty());
}

TEST(DeviceDeathTest, ChecksWhatIsAlwaysABug) {
  NullDevice device;
  const BufferId buffer = buffer_of(device, 64);
  EXPECT_DEATH(buffer_of(device, 6), "desc.size");
  EXPECT_DEATH(buffer_of(device, 8, usage_map_read | usage_storage), "sane_usage");
  EXPECT_DEATH(device.write_buffer(buffer, 2, std::vector<u8>(4)), "whole_words");
  EXPECT_DEATH(device.submit(), "stage_");
  EXPECT_DEATH(device.destroy_buffer(BufferId{99}), "buffers_");
}

}  // namespace
}  // namespace pronk::gpu
