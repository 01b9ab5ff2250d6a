// Where the sums of a tile go: store(row, n, at), which the kernel defines, of a row of x and column n below OUT_N, reads
// sum_at(at, n).

alias Sums = array<vec4<f32>, 16>;  // of a thread
const STORING = THREADS_T / STORE_PARTS;

// Gives the sums of the first `count` rows of x to store(), through workgroup memory, which holds those of STORE_T rows a
// thread, or of one row of a part of the threads: that takes one copy of its code for many rows in place of one a sum, and neighbours write side by side.
fn store_sums(sums: ptr<function, Sums>, local: u32, count: u32) {
  let tn = local % THREADS_N;
  let tt = local / THREADS_N;
  for (var t = 0u; t < 8u; t += STORE_T) {
    for (var part = 0u; part < STORE_PARTS; part++) {
      workgroupBarrier();
      for (var i = 0u; i < STORE_T; i++) {
        if (tt / STORING == part) {
          keep_sums(tt % STORING, (2u * i) * THREADS_N + tn, (*sums)[2u * (t + i)]);
          keep_sums(tt % STORING, (2u * i + 1u) * THREADS_N + tn, (*sums)[2u * (t + i) + 1u]);
        }
      }
      workgroupBarrier();
      let first = t * THREADS_T + part * STORING;
      for (var i = local; i < min(STORE_T * STORING, max(count, first) - first) * OUT_N; i += WORKGROUP) {
        store(first + i / OUT_N, i % OUT_N, i / OUT_N);
      }
    }
  }
}

fn sum_at(at: u32, n: u32) -> f32 {
  let fours = kept_sums(at % STORING, (at / STORING * 2u + n / (4u * THREADS_N)) * THREADS_N + n % THREADS_N);
  return fours[n / THREADS_N % 4u];
}
