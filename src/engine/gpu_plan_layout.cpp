#include "engine/gpu_plan_layout.h"

#include <algorithm>

#include "base/units.h"

namespace pronk::engine {

using gpu::MemoryKind;

namespace {
constexpr u32 none = ~0u;
constexpr const char* recurrent_label = "recurrent state";
}  // namespace

u32 BufferLayout::add_buffer(std::string label, u64 size, u32 usage, MemoryKind kind) {
  plan_.buffers.push_back({std::move(label), size, usage, kind});
  return u32(plan_.buffers.size() - 1);
}

Status BufferLayout::add_buffers() {
  PRONK_TRY(plan_.weights, plan_weights(graph_, fused_, limits_));
  for (u64 bytes : plan_.weights.buffer_bytes) {
    add_buffer("weights", bytes, gpu::usage_storage | gpu::usage_copy_dst, MemoryKind::weights);
  }
  PRONK_OK(add_states());
  parameters_ = add_buffer("parameters", 0, gpu::usage_uniform | gpu::usage_storage | gpu::usage_copy_dst,
                           MemoryKind::parameters);
  add_step_state();
  return {};
}

// States share buffers as far as these may hold them: drivers round small buffers up.
Status BufferLayout::add_states() {
  u32 kv_buffer = none, recurrent_buffer = none;
  for (const graph::State& state : graph_.states) {
    plan_.states.emplace_back();
    if (const auto* kv = std::get_if<graph::KvState>(&state)) {
      PRONK_OK(add_kv(*kv, kv_buffer, plan_.states.back()));
    } else {
      PRONK_OK(add_recurrent(std::get<graph::RecurrentState>(state), recurrent_buffer, plan_.states.back()));
    }
  }
  add_checkpoints();
  return {};
}

Status BufferLayout::add_kv(const graph::KvState& state, u32& buffer, Place& place) {
  const graph::KvTypes types = plan_.options.kv;
  const u64 positions = u64(state.heads) * capacity(state);
  const u64 k_bytes = positions * graph::kv_row_bytes(types.k, state.key_width);
  const u64 v_bytes = state.values_in_keys ? 0 : positions * graph::kv_row_bytes(types.v, state.value_width);
  const u64 larger = std::max(k_bytes, v_bytes);
  const u64 most = std::min(limits_.max_storage_buffer_binding_size, (limits_.max_buffer_size - binding_alignment) / 2);
  if (larger > most) {
    return fail("context length " + std::to_string(plan_.options.context) + " needs " + megabytes(larger) +
                " for the keys of a layer, over this device's " + megabytes(most));
  }
  const u64 v_offset = align_up(k_bytes, binding_alignment);
  place.first =
      reserve(v_offset + v_bytes, "kv cache", gpu::usage_storage | gpu::usage_copy_src | gpu::usage_copy_dst, buffer);
  place.values = {place.first.buffer, place.first.offset + v_offset, v_bytes};
  place.first.size = k_bytes;
  if (state.values_in_keys) place.values = place.first;
  return {};
}

Status BufferLayout::add_recurrent(const graph::RecurrentState& state, u32& buffer, Place& place) {
  const u64 bytes = u64(state.floats) * sizeof(float);
  const u64 most = std::min(limits_.max_storage_buffer_binding_size, limits_.max_buffer_size);
  if (bytes > most) {
    return fail("the state of a layer needs a binding of " + megabytes(bytes) + ", over this device's " +
                megabytes(most));
  }
  place.first = reserve(std::max<u64>(bytes, 16), recurrent_label,
                        gpu::usage_storage | gpu::usage_copy_src | gpu::usage_copy_dst, buffer);
  return {};
}

// Buffers for the copies of each that holds recurrent states.
void BufferLayout::add_checkpoints() {
  const u32 count = u32(plan_.buffers.size());
  for (u32 i = 0; i < count; ++i) {
    if (plan_.buffers[i].label != recurrent_label) continue;
    GpuPlan::Checkpoint& checkpoint = plan_.checkpoints.emplace_back();
    checkpoint.state = i;
    for (u32& copy : checkpoint.copies) {
      copy = add_buffer("recurrent state, kept", plan_.buffers[i].size, gpu::usage_copy_src | gpu::usage_copy_dst,
                        MemoryKind::kv_cache);
    }
  }
}

// Of the buffer, or of a new one when it is full.
Range BufferLayout::reserve(u64 bytes, const char* label, u32 usage, u32& buffer) {
  const auto end = [&] { return align_up(plan_.buffers[buffer].size, binding_alignment); };
  if (buffer == none || end() + bytes > limits_.max_buffer_size)
    buffer = add_buffer(label, 0, usage, MemoryKind::kv_cache);
  const Range range{buffer, end(), bytes};
  plan_.buffers[buffer].size = range.offset + bytes;
  return range;
}

void BufferLayout::add_step_state() {
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

  for (const graph::RopeTable& rope : graph_.ropes) {
    plan_.rope_tables.push_back(reserve_parameters(kernels::rope_table_bytes(rope.rotated(), plan_.options.context)));
  }
  plan_.sample_params = reserve_parameters(align_up(sizeof(kernels::SampleParams), 16));
  plan_.end_tokens = reserve_parameters(max_end_tokens * 4);
  if (!graph_.causal() || plan_.options.hidden) return;
  const u32 vocab = plan_.output_width;
  plan_.adjust_params = reserve_parameters(align_up(sizeof(kernels::AdjustParams), 16));
  plan_.mask = reserve_parameters(kernels::mask_bytes(vocab));
  const u64 bytes = align_up(u64(vocab) * sizeof(graph::TokenAdjustment), 16);
  plan_.adjustments = {
      add_buffer("token adjustments", bytes, gpu::usage_storage | gpu::usage_copy_dst, MemoryKind::parameters), 0,
      bytes};
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
