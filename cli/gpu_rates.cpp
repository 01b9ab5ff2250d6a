#include "gpu_rates.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "gpu/native.h"

namespace pronk::cli {
namespace {

constexpr u32 workgroup = 256;
constexpr double long_enough_ms = 100;  // beside it what a submission costs is little
constexpr u32 attempts = 3;             // the best counts

constexpr const char* copy_wgsl = R"(
@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4<u32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  result[id.x] = source[id.x];
}
)";

// Eight chains of four: enough in flight to hide an addition's latency.
constexpr u32 fma_steps = 512, fma_chains = 8;
constexpr const char* fma_wgsl = R"(
@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let a = source[0] + vec4<f32>(f32(id.x));
  let b = source[1];
  var s0 = a;
  var s1 = a + 1.0;
  var s2 = a + 2.0;
  var s3 = a + 3.0;
  var s4 = a + 4.0;
  var s5 = a + 5.0;
  var s6 = a + 6.0;
  var s7 = a + 7.0;
  for (var i = 0u; i < 512u; i++) {
    s0 = fma(s0, b, a);
    s1 = fma(s1, b, a);
    s2 = fma(s2, b, a);
    s3 = fma(s3, b, a);
    s4 = fma(s4, b, a);
    s5 = fma(s5, b, a);
    s6 = fma(s6, b, a);
    s7 = fma(s7, b, a);
  }
  result[id.x] = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7;
}
)";

class Measurement {
 public:
  explicit Measurement(gpu::Device& device) : device_(device) {}
  ~Measurement() {
    for (const gpu::BufferId buffer : buffers_) device_.destroy_buffer(buffer);
  }
  Measurement(const Measurement&) = delete;
  Measurement& operator=(const Measurement&) = delete;

  // Runs a kernel from one buffer to another over so many workgroups; the least milliseconds that one run takes.
  Result<double> milliseconds(const char* label, const char* wgsl, std::array<u64, 2> bytes, u32 workgroups) {
    std::vector<gpu::BufferRange> ranges;
    for (const u64 size : bytes) {
      buffers_.push_back(device_.create_buffer({.label = label, .size = size, .usage = gpu::usage_storage}));
      ranges.push_back({buffers_.back(), 0, size});
    }
    const gpu::PipelineId pipeline =
        device_.create_pipeline({label, wgsl, {gpu::BindingType::storage_read, gpu::BindingType::storage_read_write}});
    const gpu::BindGroupId group = device_.create_bind_group(pipeline, ranges);
    PRONK_OK(wait_for(gpu::EventKind::pipeline_ready));
    double best = 1e30;
    u32 times = 1;
    for (u32 attempt = 0; attempt < attempts;) {
      const double begin = device_.now_ms();
      device_.begin();
      for (u32 i = 0; i < times; ++i) device_.dispatch(pipeline, group, workgroups);
      device_.submit();
      device_.notify_done(1);
      PRONK_OK(wait_for(gpu::EventKind::work_done));
      const double took = device_.now_ms() - begin;
      if (took < long_enough_ms && times < 1 << 16) {
        times *= 2;
        continue;
      }
      best = std::min(best, took / times);
      ++attempt;
    }
    return best;
  }

 private:
  Status wait_for(gpu::EventKind kind) {
    for (u32 seconds = 0; seconds < 60; ++seconds) {
      gpu::wait(device_, std::chrono::seconds(1));
      for (gpu::Event event; device_.next_event(event);) {
        if (event.kind == kind) return {};
        if (!event.message.empty()) return fail(ErrorCode::device_failed, "measuring the GPU: " + event.message);
      }
    }
    return fail(ErrorCode::device_failed, "measuring the GPU: it has not answered for a minute");
  }

  gpu::Device& device_;
  std::vector<gpu::BufferId> buffers_;
};

}  // namespace

Result<GpuRates> measure_gpu(gpu::Device& device) {
  constexpr u32 fma_groups = 512;
  const u64 most =
      std::min({device.limits().max_storage_buffer_binding_size, device.limits().max_buffer_size, u64(128) << 20});
  const u32 copy_groups = u32(most / (16 * workgroup));
  const u64 bytes = u64(copy_groups) * 16 * workgroup;
  Measurement copy(device), multiply(device);
  PRONK_TRY(const double copy_ms, copy.milliseconds("copy", copy_wgsl, {bytes, bytes}, copy_groups));
  PRONK_TRY(const double fma_ms,
            multiply.milliseconds("fma", fma_wgsl, {64, u64(fma_groups) * workgroup * 16}, fma_groups));
  const double multiply_adds = double(fma_groups) * workgroup * fma_steps * fma_chains * 4;
  return GpuRates{.copied_bytes = 2e3 * double(bytes) / copy_ms, .multiply_adds = 1e3 * multiply_adds / fma_ms};
}

}  // namespace pronk::cli
