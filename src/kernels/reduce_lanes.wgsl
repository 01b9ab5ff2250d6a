// Sums over the lanes of each team through workgroup memory, for devices without subgroups.

var<workgroup> shared_sums: array<f32, SUMS * WORKGROUP>;

fn share(sums: ptr<function, array<f32, SUMS>>, local: u32, lane: u32) {
  for (var s = 0u; s < SUMS; s++) {
    shared_sums[s * WORKGROUP + local] = (*sums)[s];
  }
  workgroupBarrier();
}

fn total(s: u32, team: u32) -> f32 {
  var sum = 0.0;
  for (var lane = 0u; lane < LANES; lane++) {
    sum += shared_sums[s * WORKGROUP + team * LANES + lane];
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
  matvec(vec2<u32>(group.y * groups.x + group.x, group.z), local);
}
