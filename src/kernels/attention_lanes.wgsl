// Sums over the lanes of a key through workgroup memory.

fn share_parts(parts: ptr<function, array<vec4<f32>, QUADS>>, position: u32, lane: u32) {
  for (var w = 0u; w < QUADS; w++) {
    scratch[(position * LANES + lane) * QUADS + w] = (*parts)[w];
  }
}

fn joined_parts(position: u32, w: u32) -> vec4<f32> {
  var sum = scratch[position * LANES * QUADS + w];
  for (var lane = 1u; lane < LANES; lane++) {
    sum += scratch[(position * LANES + lane) * QUADS + w];
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  run(group, local);
}
