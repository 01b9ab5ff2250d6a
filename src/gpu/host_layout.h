// Structs that pass between the WASM module and its host (web/src/runtime/gpu.ts), which knows their layout from
// web/src/runtime/abi.ts, made from these declarations.
#pragma once

#include "base/fields.h"
#include "base/types.h"

namespace pronk::gpu {

using HostText = char[128];  // UTF-8, ended by a 0

// clang-format off: one field a line reads better than as a macro's arguments.

// What the host's device can do; the names are those of GPUSupportedLimits and GPUAdapterInfo.
PRONK_STRUCT(HostDescription,
  (double, max_buffer_size),
  (double, max_storage_buffer_binding_size),
  (double, max_uniform_buffer_binding_size),
  (u32, max_storage_buffers_per_shader_stage),
  (u32, max_compute_workgroup_storage_size),
  (u32, max_compute_invocations_per_workgroup),
  (u32, max_compute_workgroup_size_x),
  (u32, max_compute_workgroups_per_dimension),
  (u32, min_storage_buffer_offset_alignment),
  (u32, min_uniform_buffer_offset_alignment),
  (u32, shader_f16),  // 0 or 1
  (u32, subgroups),   // 0 or 1
  (u32, integer_dot_product),  // 0 or 1
  (u32, subgroup_min_size),
  (u32, subgroup_max_size),
  (u32, subgroup_matrix),
  (HostText, vendor),
  (HostText, architecture),
  (HostText, device),
  (HostText, description)
);

// One entry of a bind group.
PRONK_STRUCT(HostRange,
  (double, offset),
  (double, size),
  (u32, buffer),
  (u32, unused)
);
// clang-format on

}  // namespace pronk::gpu
