#include "engine/gpu_plan_layout.h"

#include <algorithm>

#include "base/units.h"

namespace pronk::engine {

using gpu::MemoryKind;

u32 BufferLayout::add_buffer(std::string label, u64 size, u32 usage, MemoryKind kind) {
  plan_.buffers.push_back({std::move(label), size, usage, kind});
  return u32(plan_.buffers.size() - 1);
}

Status BufferLayout::add_buffers() {
  PRONK_TRY(plan_.weights, plan_weights(graph_, fused_, limits_));
  for (u64 bytes : plan_.weights.buffer_bytes) {
    add_buffer("weights", bytes, gpu::usage_storage | gpu::usage_copy_dst, MemoryKind::weights);
  }
  PRONK_OK(add_cache());
  parameters_ = add_buffer("parameters", 0, gpu::usage_uniform | gpu::usage_storage | gpu::usage_copy_dst,
                           MemoryKind::parameters);
  add_state();
  return {};
}

Status BufferLayout::add_cache() {
  const graph::KvTypes types = plan_.options.kv;
  const graph::Heads& heads = graph_.heads;
  const u64 k_position = heads.kv * graph::kv_row_bytes(types.k, heads.dim);
  const u64 v_position = heads.kv * graph::kv_row_bytes(types.v, heads.dim);
  const u64 k_bytes = k_position * plan_.options.context, v_bytes = v_position * plan_.options.context;
  const u64 larger = std::max(k_bytes, v_bytes);
  const u64 most = std::min(limits_.max_storage_buffer_binding_size, (limits_.max_buffer_size - binding_alignment) / 2);
  if (larger > most) {
    return fail("context length " + std::to_string(plan_.options.context) + " needs " + megabytes(larger) +
                " for the keys of a layer, over this device's " + megabytes(most));
  }
  // As many layers in a buffer as it may hold: drivers round small buffers up.
  const u64 v_offset = align_up(k_bytes, binding_alignment),
            layer_bytes = align_up(v_offset + v_bytes, binding_alignment);
  const u32 layers_a_buffer = u32(std::clamp<u64>(limits_.max_buffer_size / layer_bytes, 1, graph_.layers));
  for (u32 layer = 0; layer < graph_.layers; layer += layers_a_buffer) {
    const u32 layers = std::min(layers_a_buffer, graph_.layers - layer);
    const u64 last = (layers - 1) * layer_bytes;
    const u32 buffer = add_buffer("kv cache from layer " + std::to_string(layer), last + v_offset + v_bytes,
                                  gpu::usage_storage, MemoryKind::kv_cache);
    for (u64 start = 0; start <= last; start += layer_bytes) {
      keys_.push_back({buffer, start, k_bytes});
      values_.push_back({buffer, start + v_offset, v_bytes});
    }
  }
  return {};
}

void BufferLayout::add_state() {
  const u32 usage = gpu::usage_uniform | gpu::usage_storage | gpu::usage_copy_src | gpu::usage_copy_dst;
  const u32 buffer = add_buffer("state", 0, usage, MemoryKind::parameters);
  u64 end = 0;
  const auto reserve = [&](u64 bytes) {
    const Range range{buffer, align_up(end, binding_alignment), bytes};
    end = range.offset + bytes;
    return range;
  };
  const u64 state_bytes = align_up(sizeof(kernels::StepState), 16);
  plan_.decode_state = reserve(state_bytes);
  plan_.next_token = reserve(4);
  plan_.sampled = reserve(4);
  plan_.prefill_state = reserve(state_bytes);
  plan_.prefill_tokens = reserve(plan_.options.chunk * 4);
  plan_.buffers[buffer].size = end;

  plan_.rope_table = reserve_parameters(kernels::rope_table_bytes(graph_.heads.rotated, plan_.options.context));
  plan_.sample_params = reserve_parameters(align_up(sizeof(kernels::SampleParams), 16));
  plan_.end_tokens = reserve_parameters(max_end_tokens * 4);
}

Range BufferLayout::reserve_parameters(u64 bytes) {
  const Range range{parameters_, align_up(parameter_bytes_, binding_alignment), align_up(bytes, 16)};
  parameter_bytes_ = range.offset + range.size;
  return range;
}

Range BufferLayout::constant(std::span<const u8> bytes) {
  const auto [at, added] = constants_.try_emplace({bytes.begin(), bytes.end()});
  if (!added) return at->second;
  at->second = reserve_parameters(bytes.size());
  plan_.constants.push_back({at->second, at->first});
  return at->second;
}

}  // namespace pronk::engine
