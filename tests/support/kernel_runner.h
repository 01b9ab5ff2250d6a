// Runs single kernels on the machine's WebGPU device: bytes in, dispatches, bytes out.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gpu/native.h"
#include "kernels/launch.h"

namespace pronk::test {

using Bytes = std::vector<u8>;

template <class T>
Bytes bytes_of(const std::vector<T>& values) {
  Bytes bytes(align_up(values.size() * sizeof(T), 16));
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), values.size() * sizeof(T));
  return bytes;
}
template <class Params>
Bytes params_bytes(const Params& params) {
  return bytes_of(std::vector<Params>{params});
}
template <class T>
std::vector<T> as(const Bytes& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

class KernelRunner {
 public:
  struct Step {
    gpu::PipelineDesc kernel;
    std::vector<u32> memory;  // what is bound at @binding(i)
    kernels::Grid grid;
  };

  // A launch for the tokens of a step, whose operands are indices of `memory`.
  static Step step_of(const kernels::Launch& launch, u32 tokens, std::vector<Bytes>& memory) {
    Step step{launch.pipeline, {}, launch.scale(launch.grid, tokens)};
    if (!launch.params.empty()) {
      step.memory.push_back(u32(memory.size()));
      memory.push_back(launch.params);
    }
    for (const kernels::Operand operand : launch.operands) step.memory.push_back(u32(operand));
    if (launch.table) {
      const auto words = launch.table->gpu_table();
      step.memory.push_back(u32(memory.size()));
      memory.push_back(bytes_of(std::vector<u32>(words.begin(), words.end())));
    }
    return step;
  }

  explicit KernelRunner(std::unique_ptr<gpu::Device> device) : device_(std::move(device)) {}

  gpu::Device& device() { return *device_; }

  // Dispatches the steps in order on `memory`, one buffer each; what kernels may write is read back into it.
  // False, with a failure reported, when the device complains.
  bool run(std::vector<Bytes>& memory, const std::vector<Step>& steps) {
    std::vector<gpu::PipelineId> pipelines;
    for (const Step& step : steps) pipelines.push_back(compile(step.kernel));
    if (!wait_for_pipelines()) return false;
    std::vector<gpu::BufferId> buffers;
    for (const Bytes& bytes : memory) buffers.push_back(create(bytes));
    device_->begin();
    std::set<u32> written;
    for (std::size_t s = 0; s < steps.size(); ++s) {
      std::vector<gpu::BufferRange> ranges;
      for (std::size_t b = 0; b < steps[s].memory.size(); ++b) {
        const u32 at = steps[s].memory[b];
        ranges.push_back({buffers[at], 0, memory[at].size()});
        if (steps[s].kernel.bindings[b] == gpu::BindingType::storage_read_write) written.insert(at);
      }
      const gpu::BindGroupId group = device_->create_bind_group(pipelines[s], ranges);
      device_->dispatch(pipelines[s], group, steps[s].grid.x, steps[s].grid.y, steps[s].grid.z);
    }
    const bool good = read_back(memory, buffers, written);
    for (const gpu::BufferId id : buffers) device_->destroy_buffer(id);
    return good;
  }

  bool compile_all(const std::vector<gpu::PipelineDesc>& kernels) {
    for (const auto& kernel : kernels) compile(kernel);
    return wait_for_pipelines();
  }

 private:
  gpu::PipelineId compile(const gpu::PipelineDesc& kernel) {
    const auto [at, added] = pipelines_.try_emplace(kernel.label);
    if (added) {
      at->second = device_->create_pipeline(kernel);
      ++pending_;
    }
    return at->second;
  }

  gpu::BufferId create(const Bytes& bytes) {
    const u32 usage = gpu::usage_storage | gpu::usage_uniform | gpu::usage_copy_src | gpu::usage_copy_dst;
    const gpu::BufferId id = device_->create_buffer({.label = "test", .size = bytes.size(), .usage = usage});
    device_->write_buffer(id, 0, bytes);
    return id;
  }

  // The next event that is no failure.
  bool next(gpu::Event& event) {
    for (u32 i = 0; i < 6000 && !device_->has_event(); ++i) gpu::wait(*device_, std::chrono::milliseconds(100));
    if (!device_->next_event(event)) {
      ADD_FAILURE() << "the device has been silent for half a minute";
      return false;
    }
    const bool good = event.kind == gpu::Event::Kind::pipeline_ready || event.kind == gpu::Event::Kind::read_done;
    if (!good) ADD_FAILURE() << event.message;
    return good;
  }

  bool wait_for_pipelines() {
    for (gpu::Event event; pending_ > 0; --pending_) {
      if (!next(event)) return false;
    }
    return true;
  }

  bool read_back(std::vector<Bytes>& memory, const std::vector<gpu::BufferId>& buffers, const std::set<u32>& written) {
    u64 size = 0;
    for (const u32 at : written) size += memory[at].size();
    const gpu::BufferId staging = device_->create_buffer(
        {.label = "read back", .size = size, .usage = gpu::usage_map_read | gpu::usage_copy_dst});
    u64 offset = 0;
    for (const u32 at : written) {
      device_->copy_buffer(buffers[at], 0, staging, offset, memory[at].size());
      offset += memory[at].size();
    }
    device_->submit();
    device_->read(staging, 0, size, 1);
    gpu::Event event;
    if (!next(event)) return false;
    const u8* from = event.bytes.data();
    for (const u32 at : written) {
      std::copy_n(from, memory[at].size(), memory[at].begin());
      from += memory[at].size();
    }
    device_->destroy_buffer(staging);
    return true;
  }

  std::unique_ptr<gpu::Device> device_;
  std::map<std::string, gpu::PipelineId> pipelines_;  // by label
  u32 pending_ = 0;
};

// A suite whose tests share one device; all are skipped where there is no adapter.
class KernelTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto device = gpu::create_native_device();
    if (device) runner_ = new KernelRunner(std::move(*device));
    if (!device) why_ = device.error().message;
  }
  static void TearDownTestSuite() {
    delete runner_;
    runner_ = nullptr;
  }
  void SetUp() override {
    if (runner_) return;
    ASSERT_TRUE(why_.starts_with("no WebGPU adapter")) << why_;
    GTEST_SKIP() << why_;
  }
  static KernelRunner& runner() { return *runner_; }

 private:
  static inline KernelRunner* runner_ = nullptr;
  static inline std::string why_;
};

// Nearly normal: sums of four uniform numbers, because tests need millions.
inline std::vector<float> random_floats(u64 count, u32 seed, float spread = 1, float middle = 0) {
  std::mt19937_64 random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    const u64 bits = random();
    const u32 sum = u32((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
    value = middle + spread * 1.7320508f * (float(sum) / 65536 - 2);
  }
  return values;
}

// ‖a − b‖ / ‖b‖
inline double relative_error(std::span<const float> a, std::span<const double> b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / std::max(size, 1e-300));
}

// Of sums of k products in f32.
inline double tolerance(u32 k) { return 2e-6 * std::sqrt(double(k)); }

}  // namespace pronk::test
