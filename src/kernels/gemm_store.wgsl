// Where the sums of a tile go: store(row, n, at), which the kernel defines, of a row of x and column n below OUT_N, reads
// sum_at(at, n).

// Gives the sums of the first `count` rows of x to store(), through the weight's memory, which holds those of STORE_T rows a
// thread: that takes one copy of its code for many rows in place of one a sum, and neighbours write side by side.
fn store_sums(sums: ptr<function, array<vec4<f32>, 16>>, local: u32, count: u32) {
  let tn = local % THREADS_N;
  let tt = local / THREADS_N;
  for (var t = 0u; t < 8u; t += STORE_T) {
    workgroupBarrier();
    for (var i = 0u; i < STORE_T; i++) {
      keep_sums(tt, (2u * i) * THREADS_N + tn, (*sums)[2u * (t + i)]);
      keep_sums(tt, (2u * i + 1u) * THREADS_N + tn, (*sums)[2u * (t + i) + 1u]);
    }
    workgroupBarrier();
    let first = t * THREADS_T;
    for (var i = local; i < min(STORE_T * THREADS_T, max(count, first) - first) * OUT_N; i += WORKGROUP) {
      store(first + i / OUT_N, i % OUT_N, i / OUT_N);
    }
  }
}

fn sum_at(at: u32, n: u32) -> f32 {
  let fours = kept_sums(at % THREADS_T, (at / THREADS_T * 2u + n / (4u * THREADS_N)) * THREADS_N + n % THREADS_N);
  return fours[n / THREADS_N % 4u];
}
