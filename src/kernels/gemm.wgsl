// Many rows of activations times a weight: y[t, n] = epilogue(scale[t] · Σ_k W[n, k] · norm[k] · x[t, k] + bias[n]),
// scale[t] = 1/√(mean(x[t]²) + eps) when NORM. A workgroup makes a tile of TILE_T × TILE_N outputs, each thread 4 × 4;
// weights are decoded once into workgroup memory. With GATED half of the tile's rows are gates, half are ups.

@group(0) @binding(0) var<uniform> params: MatMulParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> weights4: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> weights1: array<u32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

const THREADS_N = TILE_N / 4u;
const WORKGROUP = THREADS_N * (TILE_T / 4u);
const UNITS = TILE_K / 8u;
const PITCH = TILE_K / 4u + 1u;  // of a row in workgroup memory; one more than needed spreads rows over the banks
const OUT_N = select(TILE_N, TILE_N / 2u, GATED);

var<workgroup> x_tile: array<vec4<f32>, TILE_T * PITCH>;
var<workgroup> w_tile: array<vec4<f32>, TILE_N * PITCH>;
var<workgroup> squares: array<f32, TILE_T * UNITS>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let first_n = group.x * OUT_N;
  let first_t = group.y * TILE_T;
  let tn = local % THREADS_N;
  let tt = local / THREADS_N;

  if (NORM) {
    for (var i = local; i < TILE_T * UNITS; i += WORKGROUP) {
      squares[i] = 0.0;
    }
  }

  var sums: array<vec4<f32>, 4>;  // [t][n]
  for (var base = 0u; base < params.row_units; base += UNITS) {
    workgroupBarrier();
    for (var i = local; i < TILE_T * UNITS; i += WORKGROUP) {
      let row = i / UNITS;
      let u = base + i % UNITS;
      var v = Eight();
      if (first_t + row < state.rows && u < params.row_units) {
        let at = params.x_base + (first_t + row) * params.x_stride + 2u * u;
        v = Eight(x[at], x[at + 1u]);
        if (NORM) {
          squares[i] += dot(v.lo, v.lo) + dot(v.hi, v.hi);
          v = Eight(v.lo * norm[2u * u], v.hi * norm[2u * u + 1u]);
        }
      }
      x_tile[row * PITCH + 2u * (i % UNITS)] = v.lo;
      x_tile[row * PITCH + 2u * (i % UNITS) + 1u] = v.hi;
    }
    for (var i = local; i < TILE_N * UNITS; i += WORKGROUP) {
      let row = i / UNITS;
      let u = base + i % UNITS;
      var n = first_n + row;
      var valid = n < params.rows;
      if (GATED && row >= OUT_N) {
        n = n - OUT_N;
        valid = n < params.rows;
        n = n + params.rows;
      }
      var w = Eight();
      if (valid && u < params.row_units) {
        w = load8(n * params.row_units + u);
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
        let v = x_tile[(tt + t * (TILE_T / 4u)) * PITCH + k];
        sums[t] += vec4<f32>(dot(v, w0), dot(v, w1), dot(v, w2), dot(v, w3));
      }
    }
  }

  workgroupBarrier();
  for (var t = 0u; t < 4u; t++) {
    let row = tt + t * (TILE_T / 4u);
    if (first_t + row < state.rows) {
      store(first_t + row, first_n, tn, sums[t], row_scale(row));
    }
  }
}

fn row_scale(row: u32) -> f32 {
  if (!NORM) {
    return 1.0;
  }
  var sum = 0.0;
  for (var u = 0u; u < UNITS; u++) {
    sum += squares[row * UNITS + u];
  }
  return inverseSqrt(sum / params.width + params.eps);
}

// The four outputs of a thread in row t: columns tn, tn + THREADS_N, … of the tile.
fn store(t: u32, first_n: u32, tn: u32, sums: vec4<f32>, scale: f32) {
  let v = scale * sums;
  if (GATED) {
    store_one(t, first_n + tn, apply(v.x, v.z));
    store_one(t, first_n + tn + THREADS_N, apply(v.y, v.w));
    return;
  }
  store_one(t, first_n + tn, v.x);
  store_one(t, first_n + tn + THREADS_N, v.y);
  store_one(t, first_n + tn + 2u * THREADS_N, v.z);
  store_one(t, first_n + tn + 3u * THREADS_N, v.w);
}

fn store_one(t: u32, n: u32, product: f32) {
  if (n >= params.padded_rows) {
    return;
  }
  var value = product;
  if (BIAS) {
    value += bias[params.bias_base + min(n, params.rows - 1u)];
  }
  let at = params.y_base + t * params.y_stride + n;
  if (ADD) {
    value += y[at];
  }
  if (GATE) {
    value = apply(y[at], value);
  }
  y[at] = select(0.0, value, n < params.rows);
}
