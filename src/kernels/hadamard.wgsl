// The orthonormal Hadamard transform of the first HADAMARD_FOURS groups of four in the workgroup's ARRAY, HADAMARD
// numbers at a time. At first a thread reads only what it wrote itself, groups local, local + WORKGROUP, …; after the
// last step the caller needs a barrier.
fn hadamard_transform(local: u32) {
  for (var i = local; i < HADAMARD_FOURS; i += WORKGROUP) {
    let v = ARRAY[i] / sqrt(f32(HADAMARD));
    let pairs = vec4<f32>(v.xy + v.zw, v.xy - v.zw);
    ARRAY[i] = vec4<f32>(pairs.x + pairs.y, pairs.x - pairs.y, pairs.z + pairs.w, pairs.z - pairs.w);
  }
  for (var half = 1u; half < HADAMARD / 4u; half <<= 1u) {
    workgroupBarrier();
    for (var i = local; i < HADAMARD_FOURS / 2u; i += WORKGROUP) {
      let at = 2u * i - i % half;
      let a = ARRAY[at];
      let b = ARRAY[at + half];
      ARRAY[at] = a + b;
      ARRAY[at + half] = a - b;
    }
  }
}
