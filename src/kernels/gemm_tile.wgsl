// The product of TILE_T rows of x with TILE_N rows of a weight, which is decoded once into workgroup memory; each thread makes
// 4 × 4 of the sums. The kernel defines where rows come from: x_unit(row, unit, slot) and w_unit(row, unit), eight numbers of
// a row of the tile, zeros for a row that is not there; slot counts the units of a step over x (row · UNITS + unit % UNITS).

const THREADS_N = TILE_N / 4u;
const WORKGROUP = THREADS_N * (TILE_T / 4u);
const UNITS = TILE_K / 8u;
const PITCH = TILE_K / 4u + 1u;  // of a row in workgroup memory; one more than needed spreads rows over the banks

var<workgroup> x_tile: array<vec4<f32>, TILE_T * PITCH>;
var<workgroup> w_tile: array<vec4<f32>, TILE_N * PITCH>;

// Of thread `local`, [t][n]: rows local / THREADS_N + t · TILE_T / 4 of x, rows local % THREADS_N + n · THREADS_N of the
// weight. Only the first `count` rows of x are wanted: sums of all others may be left out. Ends with a barrier.
fn tile_sums(sums: ptr<function, array<vec4<f32>, 4>>, local: u32, row_units: u32, count: u32) {
  let tn = local % THREADS_N;
  let tt = local / THREADS_N;
  for (var base = 0u; base < row_units; base += UNITS) {
    workgroupBarrier();
    for (var i = local; i < TILE_T * UNITS; i += WORKGROUP) {
      let row = i / UNITS;
      let u = base + i % UNITS;
      var v = Eight();
      if (u < row_units) {
        v = x_unit(row, u, i);
      }
      x_tile[row * PITCH + 2u * (i % UNITS)] = v.lo;
      x_tile[row * PITCH + 2u * (i % UNITS) + 1u] = v.hi;
    }
    for (var i = local; i < TILE_N * UNITS; i += WORKGROUP) {
      let row = i / UNITS;
      let u = base + i % UNITS;
      var w = Eight();
      if (u < row_units) {
        w = w_unit(row, u);
      }
      w_tile[row * PITCH + 2u * (i % UNITS)] = w.lo;
      w_tile[row * PITCH + 2u * (i % UNITS) + 1u] = w.hi;
    }
    workgroupBarrier();
    for (var k = 0u; k < TILE_K / 4u; k++) {
      let w0 = w_tile[tn * PITCH + k];
      let w1 = w_tile[(tn + THREADS_N) * PITCH + k];
      let w2 = w_tile[(tn + 2u * THREADS_N) * PITCH + k];
      let w3 = w_tile[(tn + 3u * THREADS_N) * PITCH + k];
      for (var t = 0u; t < 4u; t++) {
        if (t * (TILE_T / 4u) < count) {
          let v = x_tile[(tt + t * (TILE_T / 4u)) * PITCH + k];
          (*sums)[t] += vec4<f32>(dot(v, w0), dot(v, w1), dot(v, w2), dot(v, w3));
        }
      }
    }
  }
  workgroupBarrier();
}
