// Sums over the lanes of a key by shuffles; over the subgroups that a key takes, where they have fewer threads than it
// has lanes, through workgroup memory. Subgroups have four threads or more.

var<private> span: u32;  // threads that shuffle with one another

// The loop over steps is the same for all threads of a subgroup, which a compiler cannot see.
@diagnostic(off, subgroup_uniformity)
fn share_parts(parts: ptr<function, array<vec4<f32>, QUADS>>, position: u32, lane: u32) {
  for (var w = 0u; w < QUADS; w++) {
    var sum = (*parts)[w];
    for (var step = 1u; step < span; step <<= 1u) {
      sum += subgroupShuffleXor(sum, step);
    }
    if (lane % span == 0u) {
      scratch[(position * (LANES / span) + lane / span) * QUADS + w] = sum;
    }
  }
}

fn joined_parts(position: u32, w: u32) -> vec4<f32> {
  var sum = scratch[position * (LANES / span) * QUADS + w];
  for (var part = 1u; part < LANES / span; part++) {
    sum += scratch[(position * (LANES / span) + part) * QUADS + w];
  }
  return sum;
}

@diagnostic(off, subgroup_uniformity) @compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32,
        @builtin(subgroup_size) subgroup_size: u32) {
  span = min(min(subgroup_size, subgroupAdd(1u)), LANES);  // a driver may run fewer than it says
  run(group, local);
}
