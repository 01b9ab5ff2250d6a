// Sums over the lanes of each team: within a subgroup by shuffles, between the subgroups of a team by one barrier.
// A subgroup may have any power of two of threads; they are consecutive in local_invocation_index.

var<workgroup> shared_sums: array<f32, SUMS * WORKGROUP>;
var<private> threads: u32;  // of a subgroup

// The loop over steps is the same for all threads of a subgroup, which a compiler cannot see.
@diagnostic(off, subgroup_uniformity)
fn share(sums: ptr<function, array<f32, SUMS>>, local: u32, lane: u32) {
  let span = min(threads, LANES);
  for (var s = 0u; s < SUMS; s++) {
    var sum = (*sums)[s];
    for (var step = 1u; step < span; step <<= 1u) {
      sum += subgroupShuffleXor(sum, step);
    }
    shared_sums[s * WORKGROUP + local] = sum;
  }
  workgroupBarrier();
}

fn total(s: u32, team: u32) -> f32 {
  var sum = 0.0;
  for (var lane = 0u; lane < LANES; lane += threads) {
    sum += shared_sums[s * WORKGROUP + team * LANES + lane];
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32,
        @builtin(subgroup_size) subgroup_size: u32) {
  threads = min(subgroup_size, subgroupAdd(1u));  // a driver may run fewer than it says
  matvec(vec2<u32>(group.y * groups.x + group.x, group.z), local);
}
