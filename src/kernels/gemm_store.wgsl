// Where the sums of a tile go: store(row, n, at), which the kernel defines, of a row of x and column n below OUT_N, reads
// sum_at(at, n).

alias Sums = array<vec4<f32>, 16>;  // of a thread
const STORING = THREADS_T / STORE_PARTS;

// Gives the sums of the first `count` rows of x to store(), through workgroup memory, which holds those of STORE_T rows a
// thread, or of one row of a part of the threads: that takes one copy of its code for many rows in place of one a sum, and neighbours write side by side.
fn store_sums(sums: ptr<function, Sums>, local: u32, count: u32) {
  let tn = local % THREADS_N;
  let tt = local / THREADS_N;
  for (var round = 0u; round < 8u / STORE_T; round++) {
    for (var part = 0u; part < STORE_PARTS; part++) {
      workgroupBarrier();
      if (STORE_PARTS == 1u || tt / STORING == part) {
        for (var i = 0u; i < 2u * STORE_T; i++) {
          keep_sums(tt % STORING, i * THREADS_N + tn, (*sums)[i]);
        }
      }
      workgroupBarrier();
      let first = round * STORE_T * THREADS_T + part * STORING;
      for (var i = local; i < min(STORE_T * STORING, max(count, first) - first) * OUT_N; i += WORKGROUP) {
        store(first + i / OUT_N, i % OUT_N, i / OUT_N);
      }
    }
    for (var i = 2u * STORE_T; i < 16u; i++) {  // to a compiler simpler than an array that is read by the round
      (*sums)[i - 2u * STORE_T] = (*sums)[i];
    }
  }
}

fn sum_at(at: u32, n: u32) -> f32 {
  let fours = kept_sums(at % STORING, (at / STORING * 2u + n / (4u * THREADS_N)) * THREADS_N + n % THREADS_N);
  return fours[n / THREADS_N % 4u];
}
