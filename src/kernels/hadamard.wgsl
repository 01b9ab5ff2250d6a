// The orthonormal Hadamard transform of the first HADAMARD_FOURS elements of the workgroup's ARRAY, HADAMARD numbers at a
// time: of groups of four, or of matrices whose columns are such groups of several rows. At first a thread reads only
// elements local, local + WORKGROUP, …; after the last step the caller needs a barrier.

const HADAMARD_FOUR = mat4x4<f32>(1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0, 1.0);

fn hadamard_transform(local: u32) {
  for (var i = local; i < HADAMARD_FOURS; i += WORKGROUP) {
    ARRAY[i] = HADAMARD_FOUR * (ARRAY[i] * (1.0 / sqrt(f32(HADAMARD))));
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
