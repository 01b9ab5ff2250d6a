// Appends rows of keys, or of values, to the cache [kv head][position mod capacity]. Keys that the cache quantizes go
// through a Hadamard transform first (HADAMARD > 1; graph/kv_type.h). One workgroup a head and token.

@group(0) @binding(0) var<uniform> params: HeadsParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> kv_cache: array<kv_Cell>;

const HADAMARD_FOURS = kv_FOURS;

var<workgroup> results: array<vec4<f32>, kv_FOURS>;  // what the store fragment takes its numbers from

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let base = params.base + group.y * params.stride + group.x * kv_FOURS;
  for (var i = local; i < kv_FOURS; i += WORKGROUP) {
    results[i] = x[base + i];
  }
  if (HADAMARD > 1u) {
    hadamard_transform(local);
  }
  workgroupBarrier();
  let row = group.x * params.capacity + (state.position + group.y) % params.capacity;
  for (var i = local; i < kv_FOURS; i += WORKGROUP) {
    kv_store(row, i);
  }
}
