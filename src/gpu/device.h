// The engine's whole view of a GPU: about fifteen calls, no waiting. Creations and reads finish as events.
// One file per platform implements it: native.cpp (webgpu.h), browser.cpp (host imports), null.cpp (no hardware).
#pragma once

#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/enums.h"
#include "base/types.h"

namespace pronk::gpu {

// Handles are small integers, never reused within a device; 0 is "none".
enum class BufferId : u32 { none = 0 };
enum class PipelineId : u32 { none = 0 };
enum class BindGroupId : u32 { none = 0 };

// clang-format off: one value a line reads better than as a macro's arguments.

// Bits of BufferDesc::usage. Storage and uniform may be combined; map_read goes only with copy_dst (WebGPU §5.1.2).
PRONK_PLAIN_ENUM(Usage, u32,
  (usage_storage, 1), (usage_uniform, 2), (usage_copy_src, 4), (usage_copy_dst, 8), (usage_map_read, 16)
);

PRONK_ENUM(BindingType, u8, (uniform, 0), (storage_read, 1), (storage_read_write, 2));

PRONK_ENUM(EventKind, u8,
  (pipeline_ready, 0),   // id: PipelineId
  (pipeline_failed, 1),  // id: PipelineId; message: the WGSL compiler's own text
  (buffer_failed, 2),    // id: BufferId; message: the device's text (out of memory, over a limit)
  (read_done, 3),        // id: the ticket given to read(); bytes: what was read
  (read_failed, 4),      // id: the ticket; message
  (work_done, 5),        // id: the ticket given to notify_done()
  (error, 6),            // message: an uncaptured validation error; a bug or a broken driver
  (device_lost, 7)       // message: the reason
);
// clang-format on

// What a byte is for; the plan and the counters speak of these kinds.
enum class MemoryKind : u8 { weights, kv_cache, activations, parameters, readback };
constexpr std::size_t memory_kinds = 5;

struct BufferDesc {
  std::string label = {};
  u64 size = 0;   // bytes, a multiple of 4
  u32 usage = 0;  // Usage bits
  MemoryKind kind = MemoryKind::activations;
};

struct PipelineDesc {
  std::string label = {};
  std::string wgsl = {};                   // whole module; the entry point is `main`
  std::vector<BindingType> bindings = {};  // @group(0) @binding(i) has type bindings[i]
};

struct BufferRange {
  BufferId buffer = BufferId::none;
  u64 offset = 0;  // bytes, a multiple of the device's binding alignment
  u64 size = 0;    // bytes, a multiple of 4, not 0
};

// Names as in GPUSupportedLimits (WebGPU §3.6.2); the defaults are the ones every device must have. The two largest
// sizes are rounded down to whole words.
struct Limits {
  u64 max_buffer_size = 256ull << 20;
  u64 max_storage_buffer_binding_size = 128ull << 20;
  u64 max_uniform_buffer_binding_size = 64ull << 10;
  u32 max_storage_buffers_per_shader_stage = 8;
  u32 max_compute_workgroup_storage_size = 16384;
  u32 max_compute_invocations_per_workgroup = 256;
  u32 max_compute_workgroup_size_x = 256;
  u32 max_compute_workgroups_per_dimension = 65535;
  u32 min_storage_buffer_offset_alignment = 256;
  u32 min_uniform_buffer_offset_alignment = 256;
};

struct Features {
  bool shader_f16 = false;
  bool subgroups = false;
  bool integer_dot_product = false;  // WGSL's packed_4x8_integer_dot_product
  u32 subgroup_min_size = 0;         // 0 when unknown
  u32 subgroup_max_size = 0;
  // Rows and columns of the square matrices of halves whose products a subgroup sums up as floats, in the experimental
  // chromium_experimental_subgroup_matrix; 0: none.
  u32 subgroup_matrix = 0;
};

// As GPUAdapterInfo gives it; any may be empty.
struct AdapterInfo {
  std::string vendor = {}, architecture = {}, device = {}, description = {};
};

// Everything the device was asked for since it was made. Tests and `pronk generate --json` read these.
struct Counters {
  u64 buffers_created = 0;
  u64 bind_groups_created = 0;
  u64 pipelines_created = 0;
  u64 dispatches = 0;
  u64 submits = 0;
  u64 passes = 0;
  u64 reads = 0;
  u64 readback_bytes = 0;
  u64 uploaded_bytes = 0;
  std::array<u64, memory_kinds> bytes{};  // allocated now, by MemoryKind
};

struct Event {
  using Kind = EventKind;
  Kind kind = Kind::error;
  u32 id = 0;
  std::string message = {};
  std::vector<u8> bytes = {};
};

// Calls never block and never call back into the engine; callbacks of the platform only record events.
// Order of execution on the GPU is the order of write_buffer() and submit() calls, as on a GPUQueue.
class Device {
 public:
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const Limits& limits() const { return limits_; }
  const Features& features() const { return features_; }
  const AdapterInfo& info() const { return info_; }
  const Counters& counters() const { return counters_; }
  bool computes() const { return computes_; }  // false: nothing is ever calculated, for tests and plans

  // Zero-filled memory. A refusal arrives as buffer_failed; the id stays valid but unusable.
  BufferId create_buffer(const BufferDesc& desc);
  // Inside a submission being recorded, takes effect after its submit(). Work on the GPU is not disturbed.
  void destroy_buffer(BufferId id);
  // Queue-ordered copy of bytes that may be freed on return. Offset and size are multiples of 4.
  void write_buffer(BufferId id, u64 offset, std::span<const u8> bytes);

  // Compiles in the background where the platform can; ends in pipeline_ready or pipeline_failed. A dispatch of a
  // pipeline that is not ready is left out and reported as an error.
  PipelineId create_pipeline(const PipelineDesc& desc);
  // Usable at once, even while its pipeline compiles. ranges[i] is bound at @binding(i). It fits every pipeline with
  // the same list of bindings.
  BindGroupId create_bind_group(PipelineId pipeline, std::span<const BufferRange> ranges);

  // A submission: begin(), dispatches (they share one compute pass), then copies, then submit().
  void begin();
  void dispatch(PipelineId pipeline, BindGroupId group, u32 x, u32 y = 1, u32 z = 1);
  void copy_buffer(BufferId from, u64 from_offset, BufferId to, u64 to_offset, u64 size);
  void submit();

  // Maps a map_read buffer, copies the bytes out, unmaps; ends in read_done or read_failed with the ticket.
  // Offset: a multiple of 8; size: of 4. One read of a buffer at a time: it must not be copied into before read_done.
  void read(BufferId id, u64 offset, u64 size, u32 ticket);
  // work_done once all that was written and submitted so far has finished.
  void notify_done(u32 ticket);

  // Milliseconds of a clock that never goes back, from any start: how long work took is told from it.
  virtual double now_ms() const = 0;

  // Lets the platform run its callbacks (natively; elsewhere the event loop does), without waiting.
  virtual void poll() {}
  bool has_event() const { return next_event_ < events_.size(); }
  // Moves the oldest event out; false when there is none.
  bool next_event(Event& event);

 protected:
  Device() = default;

  virtual void do_create_buffer(BufferId id, const BufferDesc& desc) = 0;
  virtual void do_destroy_buffer(BufferId id) = 0;
  virtual void do_write_buffer(BufferId id, u64 offset, std::span<const u8> bytes) = 0;
  virtual void do_create_pipeline(PipelineId id, const PipelineDesc& desc) = 0;
  virtual void do_create_bind_group(BindGroupId id, PipelineId pipeline, std::span<const BufferRange> ranges) = 0;
  virtual void do_begin() = 0;
  virtual void do_dispatch(PipelineId pipeline, BindGroupId group, u32 x, u32 y, u32 z) = 0;
  virtual void do_copy_buffer(BufferId from, u64 from_offset, BufferId to, u64 to_offset, u64 size) = 0;
  virtual void do_submit() = 0;
  virtual void do_read(BufferId id, u64 offset, u64 size, u32 ticket) = 0;
  virtual void do_notify_done(u32 ticket) = 0;

  // For the platform: queues an event (a buffer_failed takes the buffer out of the byte counts). The reference lives
  // until the next call of the device.
  Event& record(Event event);

  Limits limits_;
  Features features_;
  AdapterInfo info_;
  bool computes_ = true;

 private:
  struct BufferRecord {
    u64 size = 0;  // 0 once destroyed or refused: no longer counted
    MemoryKind kind = MemoryKind::activations;
  };
  enum class Stage : u8 { idle, begun, dispatching, copying };  // of the submission being recorded

  void check_id(BufferId id) const;
  void uncount(BufferId id);

  std::vector<BufferRecord> buffers_{{}};  // index: BufferId
  u32 pipelines_ = 0;
  u32 bind_groups_ = 0;
  Stage stage_ = Stage::idle;
  std::vector<BufferId> destroyed_;  // to be destroyed after the submission being recorded
  std::vector<Event> events_;
  std::size_t next_event_ = 0;
  Counters counters_;
};

}  // namespace pronk::gpu
