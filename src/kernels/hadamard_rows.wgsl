// The Hadamard transform of rows of heads of WIDTH floats, in place; one workgroup a head and token.

@group(0) @binding(0) var<uniform> params: HeadsParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;

const HADAMARD_FOURS = WIDTH / 4u;

var<workgroup> results: array<vec4<f32>, HADAMARD_FOURS>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let base = params.base + group.y * params.stride + group.x * HADAMARD_FOURS;
  for (var i = local; i < HADAMARD_FOURS; i += WORKGROUP) {
    results[i] = x[base + i];
  }
  hadamard_transform(local);
  workgroupBarrier();
  for (var i = local; i < HADAMARD_FOURS; i += WORKGROUP) {
    x[base + i] = results[i];
  }
}
