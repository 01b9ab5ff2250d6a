// The device over webgpu.h on whatever adapter the machine has (lavapipe where there is no GPU).
#include "gpu/native.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <functional>

namespace pronk::gpu {
namespace {

using std::chrono::milliseconds;

constexpr u32 storage = usage_storage | usage_copy_src | usage_copy_dst;
constexpr u32 readback = usage_map_read | usage_copy_dst;

// out[i] = out[i] * 3 + add[i]
constexpr const char* affine_wgsl = R"(
@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@group(0) @binding(1) var<storage, read> add: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&data)) { data[id.x] = data[id.x] * 3u + add[id.x]; }
}
)";

const std::vector<BindingType> affine_bindings{BindingType::storage_read_write, BindingType::storage_read};

std::span<const u8> as_bytes(const std::vector<u32>& words) {
  return {reinterpret_cast<const u8*>(words.data()), words.size() * 4};
}

std::vector<u32> as_words(const std::vector<u8>& bytes) {
  std::vector<u32> words(bytes.size() / 4);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  return words;
}

class NativeDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Device>> made = create_native_device();
    if (!made && made.error().message.starts_with("no WebGPU adapter")) GTEST_SKIP() << made.error().message;
    ASSERT_TRUE(made) << made.error().message;
    device = std::move(*made);
  }

  // Waits for an event that is `wanted`; all that came before it are kept in `events`.
  bool await(const std::function<bool(const Event&)>& wanted) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(10);
    while (std::chrono::steady_clock::now() < end) {
      wait(*device, milliseconds(100));
      for (Event event; device->next_event(event);) {
        events.push_back(std::move(event));
        if (wanted(events.back())) return true;
      }
    }
    return false;
  }
  bool await(Event::Kind kind) {
    return await([&](const Event& event) { return event.kind == kind; });
  }

  PipelineId ready_pipeline(const char* wgsl, std::vector<BindingType> bindings) {
    const PipelineId id = device->create_pipeline({.label = "test", .wgsl = wgsl, .bindings = std::move(bindings)});
    EXPECT_TRUE(await(Event::Kind::pipeline_ready));
    EXPECT_TRUE(no_errors());
    EXPECT_EQ(events.back().id, u32(id));
    return id;
  }

  BufferId buffer(u64 size, u32 usage, MemoryKind kind = MemoryKind::activations) {
    return device->create_buffer({.label = "test", .size = size, .usage = usage, .kind = kind});
  }

  BufferId filled(const std::vector<u32>& words, u32 usage = storage) {
    const BufferId id = buffer(words.size() * 4, usage);
    device->write_buffer(id, 0, as_bytes(words));
    return id;
  }

  std::vector<u32> contents(BufferId from, u64 size) {
    const BufferId staging = buffer(size, readback, MemoryKind::readback);
    device->begin();
    device->copy_buffer(from, 0, staging, 0, size);
    device->submit();
    device->read(staging, 0, size, 1234);
    const auto done = [](const Event& event) { return event.kind == Event::Kind::read_done && event.id == 1234; };
    if (!await(done)) return {};
    return as_words(events.back().bytes);
  }

  ::testing::AssertionResult no_errors() {
    for (const Event& event : events) {
      if (event.kind == Event::Kind::error) return ::testing::AssertionFailure() << event.message;
    }
    return ::testing::AssertionSuccess();
  }

  std::unique_ptr<Device> device;
  std::vector<Event> events;
};

TEST_F(NativeDevice, TellsLimitsAndInfo) {
  const Limits defaults;
  EXPECT_GE(device->limits().max_buffer_size, defaults.max_buffer_size);
  EXPECT_GE(device->limits().max_storage_buffer_binding_size, defaults.max_storage_buffer_binding_size);
  EXPECT_GE(device->limits().max_storage_buffers_per_shader_stage, defaults.max_storage_buffers_per_shader_stage);
  EXPECT_GE(device->limits().max_compute_workgroup_storage_size, defaults.max_compute_workgroup_storage_size);
  EXPECT_GE(device->limits().max_compute_invocations_per_workgroup, defaults.max_compute_invocations_per_workgroup);
  EXPECT_LE(device->limits().min_storage_buffer_offset_alignment, 256u);
  const AdapterInfo& info = device->info();
  EXPECT_FALSE((info.vendor + info.device + info.description).empty());
}

TEST_F(NativeDevice, DefaultLimitsAndNoFeatures) {
  const auto plain = create_native_device({.default_limits = true, .no_features = true});
  ASSERT_TRUE(plain) << plain.error().message;
  const Limits& limits = (*plain)->limits();
  EXPECT_EQ(limits.max_buffer_size, 256ull << 20);
  EXPECT_EQ(limits.max_storage_buffer_binding_size, 128ull << 20);
  EXPECT_EQ(limits.max_storage_buffers_per_shader_stage, 8u);
  EXPECT_EQ(limits.max_compute_workgroup_storage_size, 16384u);
  EXPECT_EQ(limits.max_compute_invocations_per_workgroup, 256u);
  EXPECT_EQ(limits.min_storage_buffer_offset_alignment, 256u);
  EXPECT_FALSE((*plain)->features().shader_f16);
  EXPECT_FALSE((*plain)->features().subgroups);
}

TEST_F(NativeDevice, SaysWhichAdaptersThereAre) {
  const auto none = create_native_device({.adapter_substring = "no adapter is called this"});
  ASSERT_FALSE(none);
  EXPECT_TRUE(none.error().message.starts_with("no WebGPU adapter has 'no adapter is called this'"))
      << none.error().message;
}

TEST_F(NativeDevice, SoftwareIsNoHardware) {
  const auto hardware = create_native_device({.force_fallback = true, .hardware_only = true});
  ASSERT_FALSE(hardware);
  EXPECT_EQ(hardware.error().code, ErrorCode::no_device);
  if (!create_native_device({.force_fallback = true})) GTEST_SKIP() << "there is no software adapter";
  EXPECT_TRUE(hardware.error().message.starts_with("the only WebGPU adapter is software ("))
      << hardware.error().message;
}

TEST_F(NativeDevice, BuffersStartAsZerosAndTakeWrites) {
  const BufferId a = buffer(1024, storage);
  EXPECT_EQ(contents(a, 1024), std::vector<u32>(256, 0));
  device->write_buffer(a, 8, as_bytes({7, 8}));
  std::vector<u32> expected(256, 0);
  expected[2] = 7;
  expected[3] = 8;
  EXPECT_EQ(contents(a, 1024), expected);
  EXPECT_TRUE(no_errors());
}

TEST_F(NativeDevice, DispatchesRunInOrder) {
  const PipelineId affine = ready_pipeline(affine_wgsl, affine_bindings);
  constexpr u32 count = 1000;
  std::vector<u32> data(count), add(count), expected(count);
  for (u32 i = 0; i < count; ++i) {
    data[i] = i;
    add[i] = 7 * i + 1;
    expected[i] = i;
    for (int step = 0; step < 6; ++step) expected[i] = expected[i] * 3 + (step % 2 == 0 ? add[i] : 5u);
  }
  const BufferId values = filled(data), first = filled(add), second = filled(std::vector<u32>(count, 5));
  const auto group = [&](BufferId added) {
    return device->create_bind_group(affine, std::vector<BufferRange>{{values, 0, count * 4}, {added, 0, count * 4}});
  };
  const BindGroupId groups[2] = {group(first), group(second)};
  for (int submission = 0; submission < 2; ++submission) {  // order holds inside a pass and between submissions
    device->begin();
    for (int i = 0; i < 3; ++i) device->dispatch(affine, groups[(submission * 3 + i) % 2], (count + 63) / 64);
    device->submit();
  }
  EXPECT_EQ(contents(values, count * 4), expected);
  EXPECT_TRUE(no_errors());
}

TEST_F(NativeDevice, WritesAndSubmitsKeepTheirOrder) {
  const PipelineId affine = ready_pipeline(affine_wgsl, affine_bindings);
  const BufferId values = filled({1}), added = filled({0});
  const BindGroupId group = device->create_bind_group(affine, std::vector<BufferRange>{{values, 0, 4}, {added, 0, 4}});
  u32 expected = 1;
  for (u32 step = 1; step <= 20; ++step) {
    device->write_buffer(added, 0, as_bytes({step}));
    device->begin();
    device->dispatch(affine, group, 1);
    device->submit();
    expected = expected * 3 + step;
  }
  EXPECT_EQ(contents(values, 4), std::vector<u32>{expected});
  EXPECT_TRUE(no_errors());
}

TEST_F(NativeDevice, UniformsAndOffsets) {
  const PipelineId pipeline = ready_pipeline(R"(
struct Params { scale: u32, bias: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> data: array<u32>;
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3u) {
  data[id.x] = id.x * params.scale + params.bias;
}
)",
                                             {BindingType::uniform, BindingType::storage_read_write});
  const BufferId params = buffer(512, usage_uniform | usage_copy_dst, MemoryKind::parameters);
  device->write_buffer(params, 256, as_bytes({10, 3, 0, 0}));
  const BufferId data = buffer(512, storage);
  const BindGroupId group =
      device->create_bind_group(pipeline, std::vector<BufferRange>{{params, 256, 16}, {data, 256, 16}});
  device->begin();
  device->dispatch(pipeline, group, 4);
  device->submit();
  std::vector<u32> expected(128, 0);
  for (u32 i = 0; i < 4; ++i) expected[64 + i] = 10 * i + 3;
  EXPECT_EQ(contents(data, 512), expected);
  EXPECT_TRUE(no_errors());
}

TEST_F(NativeDevice, SeveralReadsInFlight) {
  const PipelineId affine = ready_pipeline(affine_wgsl, affine_bindings);
  const BufferId values = filled({0}), one = filled({1});
  const BindGroupId group = device->create_bind_group(affine, std::vector<BufferRange>{{values, 0, 4}, {one, 0, 4}});
  constexpr u32 steps = 8;
  for (u32 i = 0; i < steps; ++i) {
    const BufferId staging = buffer(4, readback, MemoryKind::readback);
    device->begin();
    device->dispatch(affine, group, 1);
    device->copy_buffer(values, 0, staging, 0, 4);
    device->submit();
    device->read(staging, 0, 4, 100 + i);
  }
  device->notify_done(55);
  std::vector<u32> tokens;
  bool work_done = false;
  while (tokens.size() < steps || !work_done) {
    ASSERT_TRUE(await([](const Event&) { return true; }));
    const Event& event = events.back();
    if (event.kind == Event::Kind::work_done) work_done = event.id == 55;
    if (event.kind != Event::Kind::read_done) continue;
    EXPECT_EQ(event.id, 100 + tokens.size());
    tokens.push_back(as_words(event.bytes)[0]);
  }
  EXPECT_EQ(tokens, (std::vector<u32>{1, 4, 13, 40, 121, 364, 1093, 3280}));
  EXPECT_TRUE(no_errors());
}

TEST_F(NativeDevice, AFailedPipelineGivesTheCompilersText) {
  const PipelineId bad =
      device->create_pipeline({.label = "broken",
                               .wgsl = "@group(0) @binding(0) var<storage, read_write> d: array<u32>;\n"
                                       "@compute @workgroup_size(1)\n"
                                       "fn main() { d[0] = misspelled_name; }\n",
                               .bindings = {BindingType::storage_read_write}});
  ASSERT_TRUE(await(Event::Kind::pipeline_failed));
  EXPECT_EQ(events.back().id, u32(bad));
  EXPECT_NE(events.back().message.find("misspelled_name"), std::string::npos) << events.back().message;
  EXPECT_NE(events.back().message.find("3:"), std::string::npos) << "no line: " << events.back().message;
  EXPECT_TRUE(no_errors());

  // A module that is right and does not fit its layout fails too, and the device lives on.
  device->create_pipeline({.label = "misfit", .wgsl = affine_wgsl, .bindings = {BindingType::storage_read_write}});
  ASSERT_TRUE(await(Event::Kind::pipeline_failed));
  EXPECT_FALSE(events.back().message.empty());
  EXPECT_TRUE(no_errors());
  ready_pipeline(affine_wgsl, affine_bindings);
  EXPECT_EQ(contents(filled({42}), 4), std::vector<u32>{42});
}

TEST_F(NativeDevice, ATooLargeBufferIsRefused) {
  auto plain = create_native_device({.default_limits = true});
  ASSERT_TRUE(plain) << plain.error().message;
  device = std::move(*plain);
  const BufferId large = buffer((256ull << 20) + 4, storage, MemoryKind::weights);
  const auto failed = [](const Event& event) { return event.kind == Event::Kind::buffer_failed; };
  ASSERT_TRUE(await(failed));
  EXPECT_EQ(events.back().id, u32(large));
  EXPECT_FALSE(events.back().message.empty());
  EXPECT_EQ(device->counters().bytes[u32(MemoryKind::weights)], 0u);
  device->destroy_buffer(large);
  EXPECT_EQ(contents(filled({42}), 4), std::vector<u32>{42});
  EXPECT_TRUE(no_errors());
}

TEST_F(NativeDevice, MemoryThatIsNotThereIsRefused) {
  const u64 size = u64{1} << 46;  // 64 TiB: over the limit of the device or over the machine's memory
  buffer(size, storage, MemoryKind::weights);
  ASSERT_TRUE(await(Event::Kind::buffer_failed));
  EXPECT_EQ(contents(filled({42}), 4), std::vector<u32>{42});
  EXPECT_TRUE(no_errors());
}

TEST_F(NativeDevice, AppliesTheUsageScopeRule) {
  const PipelineId affine = ready_pipeline(affine_wgsl, affine_bindings);
  const BufferId shared = buffer(1024, storage);
  const BindGroupId group =
      device->create_bind_group(affine, std::vector<BufferRange>{{shared, 0, 256}, {shared, 512, 256}});
  device->begin();
  device->dispatch(affine, group, 1);
  device->submit();
  ASSERT_TRUE(await(Event::Kind::error));
  EXPECT_FALSE(events.back().message.empty());
  EXPECT_EQ(contents(filled({42}), 4), std::vector<u32>{42});
}

TEST_F(NativeDevice, MisuseIsAnErrorAndNotACrash) {
  const PipelineId affine = ready_pipeline(affine_wgsl, affine_bindings);
  const BufferId a = buffer(256, storage);
  const BufferId staging = buffer(256, readback);
  const auto expect_error = [&](const char* what) {
    EXPECT_TRUE(await(Event::Kind::error)) << what;
    EXPECT_EQ(contents(filled({42}), 4), std::vector<u32>{42}) << what;
  };
  device->create_bind_group(affine, std::vector<BufferRange>{{a, 0, 256}});
  expect_error("too few ranges");
  device->create_bind_group(affine, std::vector<BufferRange>{{a, 0, 256}, {staging, 0, 256}});
  expect_error("a binding without storage usage");
  device->write_buffer(a, 252, as_bytes({1, 2}));
  expect_error("a write beyond the end");
  device->begin();
  device->copy_buffer(a, 0, staging, 128, 256);
  device->submit();
  expect_error("a copy beyond the end");
  const BufferId b = buffer(256, storage);
  const BindGroupId group = device->create_bind_group(affine, std::vector<BufferRange>{{a, 0, 256}, {b, 0, 256}});
  device->begin();
  device->dispatch(affine, group, 70000);
  device->submit();
  expect_error("a grid over the limit");
  device->begin();
  device->dispatch(affine, group, 1);
  device->destroy_buffer(b);  // takes effect after the submission
  device->submit();
  EXPECT_EQ(contents(filled({42}), 4), std::vector<u32>{42});
  EXPECT_NE(events.back().kind, Event::Kind::error);
  device->begin();
  device->dispatch(affine, group, 1);
  device->submit();
  expect_error("a destroyed buffer");
  device->begin();
  device->copy_buffer(a, 0, staging, 0, 4);
  device->submit();
  device->read(staging, 0, 4, 2);
  device->begin();
  device->copy_buffer(a, 0, staging, 0, 4);
  device->submit();
  expect_error("a copy into a buffer with a read pending");
  device->read(b, 0, 4, 3);
  EXPECT_TRUE(await(Event::Kind::read_failed));
  EXPECT_EQ(events.back().id, 3u);
  device->read(a, 0, 4, 4);
  EXPECT_TRUE(await(Event::Kind::read_failed)) << "a buffer that cannot be mapped";
}

TEST_F(NativeDevice, MayGoAwayWithReadsInFlight) {
  const BufferId staging = buffer(4, readback);
  const BufferId from = filled({42});
  device->begin();
  device->copy_buffer(from, 0, staging, 0, 4);
  device->submit();
  device->read(staging, 0, 4, 1);
  device->notify_done(2);
  device.reset();
}

#if !__has_feature(address_sanitizer)  // which keeps what is freed

// Bytes of memory that this process has in use.
u64 resident_bytes() {
  u64 pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * 4096;
}

// Until a submission the platform keeps a copy of what is written: without one now and then a model would be held
// twice.
TEST_F(NativeDevice, WritesAreFlushedAndTheirCopiesFreed) {
  constexpr u64 part = 4 << 20, rounds = 64;
  const BufferId buffer = device->create_buffer({.size = part, .usage = storage});
  const std::vector<u8> bytes(part, 1);
  const auto write_and_wait = [&] {
    for (u64 i = 0; i < 12; ++i) device->write_buffer(buffer, 0, bytes);
    device->notify_done(1);
    ASSERT_TRUE(await(Event::Kind::work_done));
  };
  write_and_wait();
  const u64 before = resident_bytes();
  for (u64 i = 0; i < rounds / 12; ++i) write_and_wait();
  EXPECT_LT(resident_bytes(), before + rounds * part / 3);
}

#endif

TEST_F(NativeDevice, Counts) {
  const PipelineId affine = ready_pipeline(affine_wgsl, affine_bindings);
  const BufferId values = filled({0}), one = filled({1});
  const BindGroupId group = device->create_bind_group(affine, std::vector<BufferRange>{{values, 0, 4}, {one, 0, 4}});
  const Counters before = device->counters();
  for (int i = 0; i < 3; ++i) {
    device->begin();
    for (int j = 0; j < 5; ++j) device->dispatch(affine, group, 1);
    device->submit();
  }
  const Counters& after = device->counters();
  EXPECT_EQ(after.dispatches - before.dispatches, 15u);
  EXPECT_EQ(after.passes - before.passes, 3u);
  EXPECT_EQ(after.submits - before.submits, 3u);
  EXPECT_EQ(after.buffers_created, before.buffers_created);
  EXPECT_EQ(before.buffers_created, 2u);
  EXPECT_EQ(before.uploaded_bytes, 8u);
  EXPECT_EQ(before.bytes[u32(MemoryKind::activations)], 8u);
}

}  // namespace
}  // namespace pronk::gpu
