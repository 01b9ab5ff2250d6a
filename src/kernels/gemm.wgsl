// Many rows of activations times a weight: y[t, n] = epilogue(scale[t] · Σ_k W[n, k] · norm[k] · x[t, k] + bias[n]),
// scale[t] = 1/√(mean(x[t]²) + eps) when NORM. A workgroup makes a tile of outputs; see gemm_tile. With GATED half of the
// tile's weight rows are gates, half are ups.

@group(0) @binding(0) var<uniform> params: MatMulParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> weights4: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> weights1: array<u32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

const OUT_N = select(TILE_N, TILE_N / 2u, GATED);

var<workgroup> squares: array<f32, TILE_T * UNITS>;
var<private> first_n: u32;
var<private> first_t: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  first_n = group.x * OUT_N;
  first_t = group.y * TILE_T;
  if (NORM) {
    for (var i = local; i < TILE_T * UNITS; i += WORKGROUP) {
      squares[i] = 0.0;
    }
  }
  var sums: array<vec4<f32>, 4>;
  tile_sums(&sums, local, params.row_units, TILE_T);

  let tn = local % THREADS_N;
  for (var t = 0u; t < 4u; t++) {
    let row = local / THREADS_N + t * (TILE_T / 4u);
    if (first_t + row < state.rows) {
      store(first_t + row, tn, sums[t], row_scale(row));
    }
  }
}

fn x_unit(row: u32, unit: u32, slot: u32) -> Eight {
  if (first_t + row >= state.rows) {
    return Eight();
  }
  let at = params.x_base + (first_t + row) * params.x_stride + 2u * unit;
  let v = Eight(x[at], x[at + 1u]);
  if (!NORM) {
    return v;
  }
  squares[slot] += dot(v.lo, v.lo) + dot(v.hi, v.hi);
  return Eight(v.lo * norm[2u * unit], v.hi * norm[2u * unit + 1u]);
}

fn w_unit(row: u32, unit: u32) -> Eight {
  var n = first_n + row;
  if (GATED && row >= OUT_N) {
    n = n - OUT_N;
  }
  if (n >= params.rows) {
    return Eight();
  }
  if (GATED && row >= OUT_N) {
    n = n + params.rows;
  }
  return load8(n * params.row_units + unit);
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
fn store(t: u32, tn: u32, sums: vec4<f32>, scale: f32) {
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
