#include "gpu/browser.h"

#include "base/check.h"
#include "gpu/host_layout.h"

namespace pronk::gpu {
namespace {

#define PRONK_IMPORT(name) __attribute__((import_module("pronk"), import_name(name)))

extern "C" {
PRONK_IMPORT("gpu_describe") u32 host_describe(HostDescription* description);  // 0: there is no device
PRONK_IMPORT("gpu_create_buffer")
void host_create_buffer(u32 id, double size, u32 usage, const char* label, u32 label_size);
PRONK_IMPORT("gpu_destroy_buffer") void host_destroy_buffer(u32 id);
PRONK_IMPORT("gpu_write_buffer") void host_write_buffer(u32 id, double offset, const u8* bytes, u32 size);
PRONK_IMPORT("gpu_create_pipeline")
void host_create_pipeline(u32 id, const char* label, u32 label_size, const char* wgsl, u32 wgsl_size,
                          const BindingType* bindings, u32 binding_count);
PRONK_IMPORT("gpu_create_bind_group")
void host_create_bind_group(u32 id, u32 pipeline, const HostRange* ranges, u32 range_count);
PRONK_IMPORT("gpu_begin") void host_begin();
PRONK_IMPORT("gpu_dispatch") void host_dispatch(u32 pipeline, u32 group, u32 x, u32 y, u32 z);
PRONK_IMPORT("gpu_copy_buffer")
void host_copy_buffer(u32 from, double from_offset, u32 to, double to_offset, double size);
PRONK_IMPORT("gpu_submit") void host_submit();
PRONK_IMPORT("gpu_read") void host_read(u32 id, double offset, double size, u32 ticket);
PRONK_IMPORT("gpu_notify_done") void host_notify_done(u32 ticket);
PRONK_IMPORT("gpu_now") double host_now();  // performance.now()
}

class BrowserDevice final : public Device {
 public:
  explicit BrowserDevice(const HostDescription& host);
  ~BrowserDevice() override;

  double now_ms() const override { return host_now(); }
  u8* on_event(Event::Kind kind, u32 id, u32 length);

 private:
  void do_create_buffer(BufferId id, const BufferDesc& desc) override {
    host_create_buffer(u32(id), double(desc.size), desc.usage, desc.label.data(), u32(desc.label.size()));
  }
  void do_destroy_buffer(BufferId id) override { host_destroy_buffer(u32(id)); }
  void do_write_buffer(BufferId id, u64 offset, std::span<const u8> bytes) override {
    host_write_buffer(u32(id), double(offset), bytes.data(), u32(bytes.size()));
  }
  void do_create_pipeline(PipelineId id, const PipelineDesc& desc) override {
    host_create_pipeline(u32(id), desc.label.data(), u32(desc.label.size()), desc.wgsl.data(), u32(desc.wgsl.size()),
                         desc.bindings.data(), u32(desc.bindings.size()));
  }
  void do_create_bind_group(BindGroupId id, PipelineId pipeline, std::span<const BufferRange> ranges) override;
  void do_begin() override { host_begin(); }
  void do_dispatch(PipelineId pipeline, BindGroupId group, u32 x, u32 y, u32 z) override {
    host_dispatch(u32(pipeline), u32(group), x, y, z);
  }
  void do_copy_buffer(BufferId from, u64 from_offset, BufferId to, u64 to_offset, u64 size) override {
    host_copy_buffer(u32(from), double(from_offset), u32(to), double(to_offset), double(size));
  }
  void do_submit() override { host_submit(); }
  void do_read(BufferId id, u64 offset, u64 size, u32 ticket) override {
    host_read(u32(id), double(offset), double(size), ticket);
  }
  void do_notify_done(u32 ticket) override { host_notify_done(ticket); }
};

static_assert(sizeof(BindingType) == 1, "the host reads a list of them as bytes");

BrowserDevice* current = nullptr;

BrowserDevice::BrowserDevice(const HostDescription& host) {
  const auto whole_words = [](double size) { return u64(size) & ~u64{3}; };  // some drivers give 2^31 - 1
  limits_ = {.max_buffer_size = whole_words(host.max_buffer_size),
             .max_storage_buffer_binding_size = whole_words(host.max_storage_buffer_binding_size),
             .max_uniform_buffer_binding_size = u64(host.max_uniform_buffer_binding_size),
             .max_storage_buffers_per_shader_stage = host.max_storage_buffers_per_shader_stage,
             .max_compute_workgroup_storage_size = host.max_compute_workgroup_storage_size,
             .max_compute_invocations_per_workgroup = host.max_compute_invocations_per_workgroup,
             .max_compute_workgroup_size_x = host.max_compute_workgroup_size_x,
             .max_compute_workgroups_per_dimension = host.max_compute_workgroups_per_dimension,
             .min_storage_buffer_offset_alignment = host.min_storage_buffer_offset_alignment,
             .min_uniform_buffer_offset_alignment = host.min_uniform_buffer_offset_alignment};
  features_ = {.shader_f16 = host.shader_f16 != 0,
               .subgroups = host.subgroups != 0,
               .integer_dot_product = host.integer_dot_product != 0,
               .subgroup_min_size = host.subgroup_min_size,
               .subgroup_max_size = host.subgroup_max_size,
               .subgroup_matrix = host.subgroup_matrix};
  info_ = {
      .vendor = host.vendor, .architecture = host.architecture, .device = host.device, .description = host.description};
  CHECK(current == nullptr);
  current = this;
}

BrowserDevice::~BrowserDevice() { current = nullptr; }

void BrowserDevice::do_create_bind_group(BindGroupId id, PipelineId pipeline, std::span<const BufferRange> ranges) {
  std::vector<HostRange> entries;
  entries.reserve(ranges.size());
  for (const BufferRange& range : ranges) {
    entries.push_back(
        {.offset = double(range.offset), .size = double(range.size), .buffer = u32(range.buffer), .unused = 0});
  }
  host_create_bind_group(u32(id), u32(pipeline), entries.data(), u32(entries.size()));
}

u8* BrowserDevice::on_event(Event::Kind kind, u32 id, u32 length) {
  Event& event = record({.kind = kind, .id = id});
  if (kind == Event::Kind::read_done) {
    event.bytes.resize(length);
    return event.bytes.data();
  }
  event.message.resize(length);
  return reinterpret_cast<u8*>(event.message.data());
}

}  // namespace

// Null when the device has gone: an event that comes late.
extern "C" __attribute__((export_name("pronk_gpu_event"))) u8* pronk_gpu_event(u32 kind, u32 id, u32 length) {
  CHECK(kind <= u32(Event::Kind::device_lost));
  return current == nullptr ? nullptr : current->on_event(Event::Kind(kind), id, length);
}

Result<std::unique_ptr<Device>> make_browser_device() {
  if (current != nullptr) return fail(ErrorCode::internal, "the module has a device already");
  HostDescription host{};
  if (host_describe(&host) == 0) return fail(ErrorCode::no_device, "no WebGPU device was given by the host");
  return std::make_unique<BrowserDevice>(host);
}

}  // namespace pronk::gpu
