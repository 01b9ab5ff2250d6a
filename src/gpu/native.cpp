#include "gpu/native.h"

#include <webgpu.h>
#ifdef PRONK_WGPU
#include <wgpu.h>
#endif

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <string_view>
#include <thread>

#include "base/check.h"
#include "gpu/native_timer.h"

namespace pronk::gpu {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// wgpu-native declares asynchronous pipeline creation and scopes of internal errors, but panics in them. Its GL back
// end is left out: it is no full WebGPU.
#ifdef PRONK_WGPU
constexpr bool async_pipelines = false;
constexpr WGPUErrorFilter error_filters[] = {WGPUErrorFilter_OutOfMemory, WGPUErrorFilter_Validation};

WGPUInstance create_instance() {
  WGPUInstanceExtras extras{};
  extras.chain.sType = WGPUSType(WGPUSType_InstanceExtras);
  extras.backends = WGPUInstanceBackend_Primary;
  WGPUInstanceDescriptor descriptor{};
  descriptor.nextInChain = &extras.chain;
  return wgpuCreateInstance(&descriptor);
}
#else
constexpr bool async_pipelines = true;
constexpr WGPUErrorFilter error_filters[] = {WGPUErrorFilter_Internal, WGPUErrorFilter_OutOfMemory,
                                             WGPUErrorFilter_Validation};

WGPUInstance create_instance() { return wgpuCreateInstance(nullptr); }
#endif
constexpr int scope_count = std::size(error_filters);

WGPUStringView to_view(std::string_view text) { return {.data = text.data(), .length = text.size()}; }

std::string to_string(WGPUStringView view) {
  if (view.data == nullptr) return {};
  return view.length == WGPU_STRLEN ? std::string(view.data) : std::string(view.data, view.length);
}

// Runs callbacks until done() or the time has passed; returns done().
template <class Done>
bool pump(WGPUInstance instance, milliseconds timeout, Done done) {
  const Clock::time_point end = Clock::now() + timeout;
  auto pause = std::chrono::microseconds(10);
  while (!done()) {
    wgpuInstanceProcessEvents(instance);
    if (done()) return true;
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(100));
  }
  return true;
}

WGPUBufferUsage to_wgpu_usage(u32 usage) {
  WGPUBufferUsage flags = WGPUBufferUsage_None;
  if (usage & usage_storage) flags |= WGPUBufferUsage_Storage;
  if (usage & usage_uniform) flags |= WGPUBufferUsage_Uniform;
  if (usage & usage_copy_src) flags |= WGPUBufferUsage_CopySrc;
  if (usage & usage_copy_dst) flags |= WGPUBufferUsage_CopyDst;
  if (usage & usage_map_read) flags |= WGPUBufferUsage_MapRead;
  return flags;
}

WGPUBufferBindingType to_wgpu_type(BindingType type) {
  switch (type) {
    case BindingType::uniform:
      return WGPUBufferBindingType_Uniform;
    case BindingType::storage_read:
      return WGPUBufferBindingType_ReadOnlyStorage;
    case BindingType::storage_read_write:
      return WGPUBufferBindingType_Storage;
  }
  CHECK(false);
}

// Some drivers give 2^31 - 1; sizes here are whole words.
u64 whole_words(u64 size) { return size & ~u64{3}; }

Limits from_wgpu(const WGPULimits& from) {
  return {.max_buffer_size = whole_words(from.maxBufferSize),
          .max_storage_buffer_binding_size = whole_words(from.maxStorageBufferBindingSize),
          .max_uniform_buffer_binding_size = from.maxUniformBufferBindingSize,
          .max_storage_buffers_per_shader_stage = from.maxStorageBuffersPerShaderStage,
          .max_compute_workgroup_storage_size = from.maxComputeWorkgroupStorageSize,
          .max_compute_invocations_per_workgroup = from.maxComputeInvocationsPerWorkgroup,
          .max_compute_workgroup_size_x = from.maxComputeWorkgroupSizeX,
          .max_compute_workgroups_per_dimension = from.maxComputeWorkgroupsPerDimension,
          .min_storage_buffer_offset_alignment = from.minStorageBufferOffsetAlignment,
          .min_uniform_buffer_offset_alignment = from.minUniformBufferOffsetAlignment};
}

class NativeDevice;

// What every callback points at: it outlives the device if the platform keeps callbacks beyond their time.
struct Link {
  NativeDevice* device = nullptr;  // null once the device is gone
};
using LinkRef = std::shared_ptr<Link>;

// The error scopes around one creation, and what they caught.
struct Scope {
  LinkRef link;
  Event::Kind failure = Event::Kind::error;  // buffer_failed or pipeline_failed
  u32 id = 0;
  int outstanding = 0;       // callbacks to come
  std::string message = {};  // of the error; empty while there is none
  WGPUComputePipeline pipeline = nullptr;
};

struct PendingRead {
  LinkRef link;
  BufferId buffer = BufferId::none;
  u64 offset = 0;
  u64 size = 0;
  u32 ticket = 0;
};

struct PendingWork {
  LinkRef link;
  u32 ticket = 0;
};

class NativeDevice final : public Device {
 public:
  NativeDevice(WGPUInstance instance, LinkRef link) : instance_(instance), link_(std::move(link)) {
    link_->device = this;
  }
  ~NativeDevice() override;

  Status open(WGPUAdapter adapter, const NativeOptions& options);
  void poll() override { wgpuInstanceProcessEvents(instance_); }
  double now_ms() const override {
    return std::chrono::duration<double, std::milli>(Clock::now().time_since_epoch()).count();
  }

  bool start_timing();
  Result<std::vector<DispatchTime>> stop_timing();

  // Called by callbacks.
  void on_error(std::string message);
  void on_lost(std::string message);
  void on_scope_done(Scope& scope);
  void on_read(const PendingRead& read, WGPUMapAsyncStatus status, std::string message);
  void on_work(const PendingWork& work, bool done, const std::string& message);

 private:
  struct Layout {
    WGPUBindGroupLayout group = nullptr;
    WGPUPipelineLayout pipeline = nullptr;
  };

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

  Layout layout_of(const std::vector<BindingType>& bindings);
  void push_scopes();
  void pop_scopes(Scope* scope);
  void begin_pass(PipelineId pipeline);
  void end_pass();
  void flush_writes();
  bool alive(BufferId id, const char* call);

  WGPUInstance instance_ = nullptr;
  LinkRef link_;
  WGPUDevice device_ = nullptr;
  WGPUQueue queue_ = nullptr;
  u64 unsubmitted_bytes_ = 0;  // written since the last submission
  bool lost_ = false;
  int pending_ = 0;  // callbacks to come

  struct Group {
    WGPUBindGroup handle = nullptr;  // null once one of its buffers is destroyed
    std::vector<BufferId> buffers;
  };
  struct Buffer {
    WGPUBuffer handle = nullptr;  // null once destroyed
    u32 pending_reads = 0;
  };

  std::vector<Buffer> buffers_{{}};                      // index: BufferId
  std::vector<WGPUComputePipeline> pipelines_{nullptr};  // index: PipelineId; null unless ready
  std::vector<Layout> pipeline_layouts_{{}};             // index: PipelineId
  std::vector<Group> groups_{{}};                        // index: BindGroupId
  std::map<std::vector<BindingType>, Layout> layouts_;

  WGPUCommandEncoder encoder_ = nullptr;
  WGPUComputePassEncoder pass_ = nullptr;
  std::vector<BufferId> copied_into_;  // by the submission being recorded
  u64 errors_ = 0;                     // uncaptured errors so far
  PipelineId set_pipeline_ = PipelineId::none;
  BindGroupId set_group_ = BindGroupId::none;
  bool has_timestamps_ = false;
  std::vector<std::string> labels_{{}};  // index: PipelineId
  std::unique_ptr<NativeTimer> timer_;   // while dispatches are timed
};

// --- opening -------------------------------------------------------------------------------------------------------

template <class Object>
struct Requested {
  Object object = nullptr;
  bool answered = false;
  std::string message;
};

WGPUAdapter request_adapter(WGPUInstance instance, const WGPURequestAdapterOptions& options, std::string& message) {
  auto* answer = new Requested<WGPUAdapter>;  // the callback may come after the time has passed
  const auto callback = [](WGPURequestAdapterStatus, WGPUAdapter adapter, WGPUStringView text, void* to, void*) {
    auto& requested = *static_cast<Requested<WGPUAdapter>*>(to);
    requested = {.object = adapter, .answered = true, .message = to_string(text)};
  };
  wgpuInstanceRequestAdapter(instance, &options,
                             {.nextInChain = nullptr,
                              .mode = WGPUCallbackMode_AllowProcessEvents,
                              .callback = callback,
                              .userdata1 = answer,
                              .userdata2 = nullptr});
  if (!pump(instance, milliseconds(10000), [&] { return answer->answered; })) {
    message = "the adapter did not answer within 10 s";
    return nullptr;  // `answer` is left to the callback
  }
  const WGPUAdapter adapter = answer->object;
  message = answer->message;
  delete answer;
  return adapter;
}

bool is_software(WGPUAdapter adapter) {
  WGPUAdapterInfo raw{};
  if (wgpuAdapterGetInfo(adapter, &raw) != WGPUStatus_Success) return false;
  const bool software = raw.adapterType == WGPUAdapterType_CPU;
  wgpuAdapterInfoFreeMembers(raw);
  return software;
}

AdapterInfo adapter_info(WGPUAdapter adapter, Features& sizes) {
  WGPUAdapterInfo raw{};
  if (wgpuAdapterGetInfo(adapter, &raw) != WGPUStatus_Success) return {};
  AdapterInfo info{.vendor = to_string(raw.vendor),
                   .architecture = to_string(raw.architecture),
                   .device = to_string(raw.device),
                   .description = to_string(raw.description)};
  sizes.subgroup_min_size = raw.subgroupMinSize;
  sizes.subgroup_max_size = raw.subgroupMaxSize;
  wgpuAdapterInfoFreeMembers(raw);
  return info;
}

// The standard interface has no list of adapters: ask for each kind, and take the first that has the name wanted.
Result<WGPUAdapter> find_adapter(WGPUInstance instance, const NativeOptions& options) {
  struct Kind {
    WGPUPowerPreference power;
    bool fallback;
  };
  constexpr Kind kinds[] = {{WGPUPowerPreference_HighPerformance, false},
                            {WGPUPowerPreference_LowPower, false},
                            {WGPUPowerPreference_Undefined, true}};
  std::string seen, software, message;
  for (const Kind& kind : kinds) {
    if (options.force_fallback && !kind.fallback) continue;
    WGPURequestAdapterOptions request{};
    request.featureLevel = WGPUFeatureLevel_Core;
    request.powerPreference = kind.power;
    request.forceFallbackAdapter = kind.fallback;
    const WGPUAdapter adapter = request_adapter(instance, request, message);
    if (adapter == nullptr) continue;
    Features sizes;
    const AdapterInfo info = adapter_info(adapter, sizes);
    const std::string name = info.vendor + " " + info.architecture + " " + info.device + " " + info.description;
    const bool named = name.find(options.adapter_substring) != std::string::npos;
    const bool refused = named && options.hardware_only && is_software(adapter);
    if (named && !refused) return adapter;
    wgpuAdapterRelease(adapter);
    if (refused) software = info.description.empty() ? info.device : info.description;
    seen += (seen.empty() ? "" : "; ") + name;
  }
  if (!software.empty()) return fail(ErrorCode::no_device, "the only WebGPU adapter is software (" + software + ")");
  if (!seen.empty()) {
    return fail(ErrorCode::no_device,
                "no WebGPU adapter has '" + options.adapter_substring + "' in its name; there are: " + seen);
  }
  return fail(ErrorCode::no_device, "no WebGPU adapter" + (message.empty() ? "" : " (" + message + ")"));
}

// Asks for the adapter's own value of each limit that kernels or the plan can use; all others stay at their defaults.
WGPULimits wanted_limits(const WGPULimits& adapter) {
  WGPULimits limits = WGPU_LIMITS_INIT;
  limits.maxBufferSize = adapter.maxBufferSize;
  limits.maxStorageBufferBindingSize = adapter.maxStorageBufferBindingSize;
  limits.maxUniformBufferBindingSize = adapter.maxUniformBufferBindingSize;
  limits.maxStorageBuffersPerShaderStage = adapter.maxStorageBuffersPerShaderStage;
  limits.maxComputeWorkgroupStorageSize = adapter.maxComputeWorkgroupStorageSize;
  limits.maxComputeInvocationsPerWorkgroup = adapter.maxComputeInvocationsPerWorkgroup;
  limits.maxComputeWorkgroupSizeX = adapter.maxComputeWorkgroupSizeX;
  limits.maxComputeWorkgroupsPerDimension = adapter.maxComputeWorkgroupsPerDimension;
  limits.minStorageBufferOffsetAlignment = adapter.minStorageBufferOffsetAlignment;
  limits.minUniformBufferOffsetAlignment = adapter.minUniformBufferOffsetAlignment;
  return limits;
}

void device_lost_callback(WGPUDevice const*, WGPUDeviceLostReason, WGPUStringView message, void* link, void*) {
  if (NativeDevice* device = static_cast<Link*>(link)->device) device->on_lost(to_string(message));
}

void uncaptured_error_callback(WGPUDevice const*, WGPUErrorType, WGPUStringView message, void* link, void*) {
  if (NativeDevice* device = static_cast<Link*>(link)->device) device->on_error(to_string(message));
}

void request_device_callback(WGPURequestDeviceStatus, WGPUDevice device, WGPUStringView text, void* to, void*) {
  *static_cast<Requested<WGPUDevice>*>(to) = {.object = device, .answered = true, .message = to_string(text)};
}

Status NativeDevice::open(WGPUAdapter adapter, const NativeOptions& options) {
  info_ = adapter_info(adapter, features_);
  features_.shader_f16 = !options.no_features && wgpuAdapterHasFeature(adapter, WGPUFeatureName_ShaderF16);
  features_.subgroups = !options.no_features && wgpuAdapterHasFeature(adapter, WGPUFeatureName_Subgroups);
  features_.integer_dot_product = !options.no_features;  // a part of WGSL that every version of wgpu in use has
  if (!features_.subgroups) features_.subgroup_min_size = features_.subgroup_max_size = 0;
  std::vector<WGPUFeatureName> features;
  if (features_.shader_f16) features.push_back(WGPUFeatureName_ShaderF16);
  if (features_.subgroups) features.push_back(WGPUFeatureName_Subgroups);
  has_timestamps_ = options.timestamps && wgpuAdapterHasFeature(adapter, WGPUFeatureName_TimestampQuery);
  if (has_timestamps_) features.push_back(WGPUFeatureName_TimestampQuery);

  WGPULimits adapter_limits{};
  if (wgpuAdapterGetLimits(adapter, &adapter_limits) != WGPUStatus_Success) {
    return fail(ErrorCode::no_device, "the WebGPU adapter does not tell its limits");
  }
  const WGPULimits wanted = wanted_limits(adapter_limits);
  WGPUDeviceDescriptor descriptor{};
  descriptor.label = to_view("pronk");
  descriptor.requiredFeatureCount = features.size();
  descriptor.requiredFeatures = features.data();
  descriptor.requiredLimits = options.default_limits ? nullptr : &wanted;
  descriptor.deviceLostCallbackInfo.mode = WGPUCallbackMode_AllowProcessEvents;
  descriptor.deviceLostCallbackInfo.callback = device_lost_callback;
  descriptor.deviceLostCallbackInfo.userdata1 = link_.get();
  descriptor.uncapturedErrorCallbackInfo.callback = uncaptured_error_callback;
  descriptor.uncapturedErrorCallbackInfo.userdata1 = link_.get();

  auto* answer = new Requested<WGPUDevice>;  // the callback may come after the time has passed
  wgpuAdapterRequestDevice(adapter, &descriptor,
                           {.nextInChain = nullptr,
                            .mode = WGPUCallbackMode_AllowProcessEvents,
                            .callback = request_device_callback,
                            .userdata1 = answer,
                            .userdata2 = nullptr});
  if (!pump(instance_, milliseconds(20000), [&] { return answer->answered; })) {
    return fail(ErrorCode::no_device, "the WebGPU adapter gave no device within 20 s");
  }
  device_ = answer->object;
  const std::string message = std::move(answer->message);
  delete answer;
  if (device_ == nullptr) return fail(ErrorCode::no_device, "the WebGPU adapter gives no device: " + message);
  queue_ = wgpuDeviceGetQueue(device_);
  WGPULimits granted{};
  if (wgpuDeviceGetLimits(device_, &granted) != WGPUStatus_Success) {
    return fail(ErrorCode::no_device, "the WebGPU device does not tell its limits");
  }
  limits_ = from_wgpu(granted);
  return {};
}

NativeDevice::~NativeDevice() {
  lost_ = true;
  end_pass();
  timer_.reset();
  if (encoder_) wgpuCommandEncoderRelease(encoder_);
  for (const Buffer& buffer : buffers_) {
    if (buffer.handle) wgpuBufferDestroy(buffer.handle);
  }
  pump(instance_, milliseconds(2000), [&] { return pending_ == 0; });  // reads of destroyed buffers are aborted
  link_->device = nullptr;
  for (const Group& group : groups_) {
    if (group.handle) wgpuBindGroupRelease(group.handle);
  }
  for (WGPUComputePipeline pipeline : pipelines_) {
    if (pipeline) wgpuComputePipelineRelease(pipeline);
  }
  for (const auto& [bindings, layout] : layouts_) {
    wgpuPipelineLayoutRelease(layout.pipeline);
    wgpuBindGroupLayoutRelease(layout.group);
  }
  for (const Buffer& buffer : buffers_) {
    if (buffer.handle) wgpuBufferRelease(buffer.handle);
  }
  if (queue_) wgpuQueueRelease(queue_);
  if (device_) {
    wgpuDeviceDestroy(device_);
    wgpuDeviceRelease(device_);
  }
  wgpuInstanceProcessEvents(instance_);  // the loss just caused, while the link still stands
  wgpuInstanceRelease(instance_);
}

// --- events --------------------------------------------------------------------------------------------------------

void NativeDevice::on_error(std::string message) {
  ++errors_;
  record({.kind = Event::Kind::error, .message = std::move(message)});
}

void NativeDevice::on_lost(std::string message) {
  if (lost_) return;
  lost_ = true;
  record({.kind = Event::Kind::device_lost, .message = std::move(message)});
}

void NativeDevice::push_scopes() {
  for (const WGPUErrorFilter filter : error_filters) wgpuDevicePushErrorScope(device_, filter);
}

// Each callback may come at once or in a later poll(); the last one ends the creation.
void NativeDevice::pop_scopes(Scope* scope) {
  const auto callback = [](WGPUPopErrorScopeStatus status, WGPUErrorType type, WGPUStringView text, void* to, void*) {
    auto* caught = static_cast<Scope*>(to);
    const bool error = status == WGPUPopErrorScopeStatus_Success && type != WGPUErrorType_NoError;
    if (error) {
      std::string message = to_string(text);  // the scopes' text is the compiler's own: it goes before any other
      caught->message = caught->message.empty() ? std::move(message) : message + "\n" + caught->message;
    }
    if (NativeDevice* device = caught->link->device) device->on_scope_done(*caught);
    if (--caught->outstanding == 0) delete caught;
  };
  for (int i = 0; i < scope_count; ++i) {
    wgpuDevicePopErrorScope(device_, {.nextInChain = nullptr,
                                      .mode = WGPUCallbackMode_AllowProcessEvents,
                                      .callback = callback,
                                      .userdata1 = scope,
                                      .userdata2 = nullptr});
  }
}

// One callback of a scope has come; the scope ends with the last.
void NativeDevice::on_scope_done(Scope& scope) {
  --pending_;
  if (scope.outstanding > 1) return;
  const bool is_pipeline = scope.failure == Event::Kind::pipeline_failed;
  if (scope.message.empty() && is_pipeline && scope.pipeline == nullptr) scope.message = "no pipeline was made";
  if (!scope.message.empty()) {
    if (scope.pipeline) wgpuComputePipelineRelease(scope.pipeline);
    if (!lost_) record({.kind = scope.failure, .id = scope.id, .message = std::move(scope.message)});
  } else if (is_pipeline) {
    pipelines_[scope.id] = scope.pipeline;
    record({.kind = Event::Kind::pipeline_ready, .id = scope.id});
  }
}

void NativeDevice::on_read(const PendingRead& read, WGPUMapAsyncStatus status, std::string message) {
  --pending_;
  --buffers_[u32(read.buffer)].pending_reads;
  const WGPUBuffer buffer = buffers_[u32(read.buffer)].handle;
  const void* mapped = nullptr;
  if (status == WGPUMapAsyncStatus_Success && buffer != nullptr) {
    mapped = wgpuBufferGetConstMappedRange(buffer, read.offset, read.size);
  }
  if (mapped == nullptr) {
    if (message.empty()) message = "the buffer could not be mapped";
    record({.kind = Event::Kind::read_failed, .id = read.ticket, .message = std::move(message)});
    return;
  }
  Event& event = record({.kind = Event::Kind::read_done, .id = read.ticket});
  event.bytes.resize(read.size);
  std::memcpy(event.bytes.data(), mapped, read.size);
  wgpuBufferUnmap(buffer);
}

void NativeDevice::on_work(const PendingWork& work, bool done, const std::string& message) {
  --pending_;
  if (done) {
    record({.kind = Event::Kind::work_done, .id = work.ticket});
  } else if (!lost_) {
    on_error("waiting for submitted work failed: " + message);
  }
}

// --- calls ---------------------------------------------------------------------------------------------------------

bool NativeDevice::alive(BufferId id, const char* call) {
  if (lost_) return false;
  if (buffers_[u32(id)].handle != nullptr) return true;
  on_error(std::string(call) + ": buffer " + std::to_string(u32(id)) + " is destroyed or was refused");
  return false;
}

void NativeDevice::do_create_buffer(BufferId id, const BufferDesc& desc) {
  CHECK(buffers_.size() == u32(id));
  buffers_.push_back({});
  if (lost_) return;
  auto* scope =
      new Scope{.link = link_, .failure = Event::Kind::buffer_failed, .id = u32(id), .outstanding = scope_count};
  pending_ += scope_count;
  push_scopes();
  WGPUBufferDescriptor descriptor{};
  descriptor.label = to_view(desc.label);
  descriptor.usage = to_wgpu_usage(desc.usage);
  descriptor.size = desc.size;
  WGPUBuffer& handle = buffers_[u32(id)].handle;
  handle = wgpuDeviceCreateBuffer(device_, &descriptor);
  if (handle == nullptr) scope->message = "no memory for buffer '" + desc.label + "'";
  pop_scopes(scope);
}

// wgpu-native ends the program when a submission uses a destroyed or mapped buffer: both are kept from reaching it.
void NativeDevice::do_destroy_buffer(BufferId id) {
  WGPUBuffer& buffer = buffers_[u32(id)].handle;
  if (buffer == nullptr) return;
  for (Group& group : groups_) {
    if (group.handle == nullptr || std::ranges::find(group.buffers, id) == group.buffers.end()) continue;
    wgpuBindGroupRelease(group.handle);
    group.handle = nullptr;
  }
  wgpuBufferDestroy(buffer);
  wgpuBufferRelease(buffer);
  buffer = nullptr;
}

void NativeDevice::do_write_buffer(BufferId id, u64 offset, std::span<const u8> bytes) {
  if (!alive(id, "write_buffer")) return;
  wgpuQueueWriteBuffer(queue_, buffers_[u32(id)].handle, offset, bytes.data(), bytes.size());
  // wgpu keeps its copy of the bytes until the next submission: without one, loading would hold a model twice.
  constexpr u64 most_unsubmitted = 32u << 20;
  unsubmitted_bytes_ += bytes.size();
  if (unsubmitted_bytes_ >= most_unsubmitted) flush_writes();
}

void NativeDevice::flush_writes() {
  if (unsubmitted_bytes_ > 0) wgpuQueueSubmit(queue_, 0, nullptr);
  unsubmitted_bytes_ = 0;
}

NativeDevice::Layout NativeDevice::layout_of(const std::vector<BindingType>& bindings) {
  Layout& layout = layouts_[bindings];
  if (layout.group != nullptr) return layout;
  std::vector<WGPUBindGroupLayoutEntry> entries(bindings.size());
  for (std::size_t i = 0; i < bindings.size(); ++i) {
    entries[i].binding = u32(i);
    entries[i].visibility = WGPUShaderStage_Compute;
    entries[i].buffer.type = to_wgpu_type(bindings[i]);
  }
  WGPUBindGroupLayoutDescriptor group{};
  group.entryCount = entries.size();
  group.entries = entries.data();
  layout.group = wgpuDeviceCreateBindGroupLayout(device_, &group);
  WGPUPipelineLayoutDescriptor pipeline{};
  pipeline.bindGroupLayoutCount = 1;
  pipeline.bindGroupLayouts = &layout.group;
  layout.pipeline = wgpuDeviceCreatePipelineLayout(device_, &pipeline);
  return layout;
}

// Ends one more of the scope's callbacks: the pipeline itself, where it is made asynchronously.
[[maybe_unused]] void pipeline_callback(WGPUCreatePipelineAsyncStatus status, WGPUComputePipeline pipeline,
                                        WGPUStringView text, void* to, void*) {
  auto* scope = static_cast<Scope*>(to);
  scope->pipeline = pipeline;
  if (status != WGPUCreatePipelineAsyncStatus_Success) {
    scope->message += (scope->message.empty() ? "" : "\n") + to_string(text);
  }
  if (NativeDevice* device = scope->link->device) device->on_scope_done(*scope);
  if (--scope->outstanding == 0) delete scope;
}

void NativeDevice::do_create_pipeline(PipelineId id, const PipelineDesc& desc) {
  CHECK(pipelines_.size() == u32(id));
  pipelines_.push_back(nullptr);
  labels_.push_back(desc.label);
  pipeline_layouts_.push_back({});
  if (lost_) return;
  const int callbacks = scope_count + (async_pipelines ? 1 : 0);
  auto* scope =
      new Scope{.link = link_, .failure = Event::Kind::pipeline_failed, .id = u32(id), .outstanding = callbacks};
  pending_ += callbacks;

  push_scopes();
  const Layout layout = pipeline_layouts_[u32(id)] = layout_of(desc.bindings);
  WGPUShaderSourceWGSL source{};
  source.chain.sType = WGPUSType_ShaderSourceWGSL;
  source.code = to_view(desc.wgsl);
  WGPUShaderModuleDescriptor module_descriptor{};
  module_descriptor.nextInChain = &source.chain;
  module_descriptor.label = to_view(desc.label);
  const WGPUShaderModule module = wgpuDeviceCreateShaderModule(device_, &module_descriptor);
  WGPUComputePipelineDescriptor descriptor{};
  descriptor.label = to_view(desc.label);
  descriptor.layout = layout.pipeline;
  descriptor.compute.module = module;
  descriptor.compute.entryPoint = to_view("main");
  if constexpr (async_pipelines) {
    pop_scopes(scope);
    wgpuDeviceCreateComputePipelineAsync(device_, &descriptor,
                                         {.nextInChain = nullptr,
                                          .mode = WGPUCallbackMode_AllowProcessEvents,
                                          .callback = pipeline_callback,
                                          .userdata1 = scope,
                                          .userdata2 = nullptr});
  } else {
    scope->pipeline = wgpuDeviceCreateComputePipeline(device_, &descriptor);
    pop_scopes(scope);
  }
  wgpuShaderModuleRelease(module);
}

void NativeDevice::do_create_bind_group(BindGroupId id, PipelineId pipeline, std::span<const BufferRange> ranges) {
  CHECK(groups_.size() == u32(id));
  Group& group = groups_.emplace_back();
  std::vector<WGPUBindGroupEntry> entries(ranges.size());
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (!alive(ranges[i].buffer, "create_bind_group")) return;
    entries[i].binding = u32(i);
    entries[i].buffer = buffers_[u32(ranges[i].buffer)].handle;
    entries[i].offset = ranges[i].offset;
    entries[i].size = ranges[i].size;
    group.buffers.push_back(ranges[i].buffer);
  }
  if (lost_ || pipeline_layouts_[u32(pipeline)].group == nullptr) return;
  WGPUBindGroupDescriptor descriptor{};
  descriptor.layout = pipeline_layouts_[u32(pipeline)].group;
  descriptor.entryCount = entries.size();
  descriptor.entries = entries.data();
  group.handle = wgpuDeviceCreateBindGroup(device_, &descriptor);
}

void NativeDevice::do_begin() {
  if (!lost_) encoder_ = wgpuDeviceCreateCommandEncoder(device_, nullptr);
}

void NativeDevice::do_dispatch(PipelineId pipeline, BindGroupId group, u32 x, u32 y, u32 z) {
  if (lost_ || encoder_ == nullptr) return;
  if (pipelines_[u32(pipeline)] == nullptr || groups_[u32(group)].handle == nullptr) {
    on_error("dispatch: pipeline " + std::to_string(u32(pipeline)) + " or bind group " + std::to_string(u32(group)) +
             " is not ready");
    return;
  }
  if (timer_) end_pass();
  if (pass_ == nullptr) begin_pass(pipeline);
  if (set_pipeline_ != pipeline) wgpuComputePassEncoderSetPipeline(pass_, pipelines_[u32(pipeline)]);
  if (set_group_ != group) wgpuComputePassEncoderSetBindGroup(pass_, 0, groups_[u32(group)].handle, 0, nullptr);
  set_pipeline_ = pipeline;
  set_group_ = group;
  wgpuComputePassEncoderDispatchWorkgroups(pass_, x, y, z);
}

void NativeDevice::begin_pass(PipelineId pipeline) {
  WGPUComputePassDescriptor descriptor{};
  if (timer_) descriptor.timestampWrites = timer_->next(labels_[u32(pipeline)]);
  pass_ = wgpuCommandEncoderBeginComputePass(encoder_, &descriptor);
  set_pipeline_ = PipelineId::none;
  set_group_ = BindGroupId::none;
}

void NativeDevice::end_pass() {
  if (pass_ == nullptr) return;
  wgpuComputePassEncoderEnd(pass_);
  wgpuComputePassEncoderRelease(pass_);
  pass_ = nullptr;
}

void NativeDevice::do_copy_buffer(BufferId from, u64 from_offset, BufferId to, u64 to_offset, u64 size) {
  if (encoder_ == nullptr || !alive(from, "copy_buffer") || !alive(to, "copy_buffer")) return;
  end_pass();
  copied_into_.push_back(to);
  wgpuCommandEncoderCopyBufferToBuffer(encoder_, buffers_[u32(from)].handle, from_offset, buffers_[u32(to)].handle,
                                       to_offset, size);
}

void NativeDevice::do_submit() {
  if (encoder_ == nullptr) return;
  end_pass();
  if (timer_) timer_->end_submission();
  const u64 errors_before = errors_;
  const WGPUCommandBuffer commands = wgpuCommandEncoderFinish(encoder_, nullptr);
  wgpuCommandEncoderRelease(encoder_);
  encoder_ = nullptr;
  for (const BufferId id : copied_into_) {
    if (buffers_[u32(id)].pending_reads == 0) continue;
    on_error("submit: a copy goes into buffer " + std::to_string(u32(id)) + ", which has a read pending");
  }
  const bool good = !lost_ && commands != nullptr && errors_ == errors_before;  // what is wrong has been reported
  if (good) {
    wgpuQueueSubmit(queue_, 1, &commands);
    unsubmitted_bytes_ = 0;
  }
  if (commands != nullptr) wgpuCommandBufferRelease(commands);
  copied_into_.clear();
}

void NativeDevice::do_read(BufferId id, u64 offset, u64 size, u32 ticket) {
  if (!alive(id, "read")) {
    const char* why = lost_ ? "the device is lost" : "the buffer is destroyed or was refused";
    record({.kind = Event::Kind::read_failed, .id = ticket, .message = why});
    return;
  }
  ++pending_;
  const auto callback = [](WGPUMapAsyncStatus status, WGPUStringView text, void* to, void*) {
    const std::unique_ptr<PendingRead> read(static_cast<PendingRead*>(to));
    if (NativeDevice* device = read->link->device) device->on_read(*read, status, to_string(text));
  };
  auto* read = new PendingRead{.link = link_, .buffer = id, .offset = offset, .size = size, .ticket = ticket};
  ++buffers_[u32(id)].pending_reads;
  wgpuBufferMapAsync(buffers_[u32(id)].handle, WGPUMapMode_Read, offset, size,
                     {.nextInChain = nullptr,
                      .mode = WGPUCallbackMode_AllowProcessEvents,
                      .callback = callback,
                      .userdata1 = read,
                      .userdata2 = nullptr});
}

bool NativeDevice::start_timing() {
  if (lost_ || !has_timestamps_) return false;
  timer_ = std::make_unique<NativeTimer>(device_, queue_);
  return true;
}

Result<std::vector<DispatchTime>> NativeDevice::stop_timing() {
  CHECK(timer_ != nullptr && encoder_ == nullptr);
  auto times = timer_->read(instance_);
  timer_.reset();
  return times;
}

void NativeDevice::do_notify_done(u32 ticket) {
  if (lost_) return;
  flush_writes();
  ++pending_;
  const auto callback = [](WGPUQueueWorkDoneStatus status, WGPUStringView text, void* to, void*) {
    const std::unique_ptr<PendingWork> work(static_cast<PendingWork*>(to));
    const bool done = status == WGPUQueueWorkDoneStatus_Success;
    if (NativeDevice* device = work->link->device) device->on_work(*work, done, to_string(text));
  };
  wgpuQueueOnSubmittedWorkDone(queue_, {.nextInChain = nullptr,
                                        .mode = WGPUCallbackMode_AllowProcessEvents,
                                        .callback = callback,
                                        .userdata1 = new PendingWork{.link = link_, .ticket = ticket},
                                        .userdata2 = nullptr});
}

}  // namespace

Result<std::unique_ptr<Device>> create_native_device(const NativeOptions& options) {
  const WGPUInstance instance = create_instance();
  if (instance == nullptr) return fail(ErrorCode::no_device, "no WebGPU instance could be made");
  const auto adapter = find_adapter(instance, options);
  if (!adapter) {
    wgpuInstanceRelease(instance);
    return std::unexpected(adapter.error());
  }
  auto device = std::make_unique<NativeDevice>(instance, std::make_shared<Link>());  // owns the instance
  const Status opened = device->open(*adapter, options);
  wgpuAdapterRelease(*adapter);
  if (!opened) return std::unexpected(opened.error());
  return device;
}

bool start_timing(Device& device) { return static_cast<NativeDevice&>(device).start_timing(); }

Result<std::vector<DispatchTime>> stop_timing(Device& device) {
  return static_cast<NativeDevice&>(device).stop_timing();
}

void wait(Device& device, milliseconds timeout) {
  const Clock::time_point end = Clock::now() + timeout;
  auto pause = std::chrono::microseconds(10);
  device.poll();
  while (!device.has_event() && Clock::now() < end) {
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(100));
    device.poll();
  }
}

}  // namespace pronk::gpu
