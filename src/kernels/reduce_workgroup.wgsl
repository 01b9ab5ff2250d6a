// Sums over a workgroup, for all of its threads to read.

var<workgroup> thread_sums: array<f32, WORKGROUP>;

fn workgroup_sum(local: u32, own: f32) -> f32 {
  workgroupBarrier();
  thread_sums[local] = own;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (local < half) {
      thread_sums[local] += thread_sums[local + half];
    }
  }
  workgroupBarrier();
  return thread_sums[0];
}
