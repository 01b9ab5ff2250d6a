// Many rows of activations times a weight: y[t, n] = epilogue(scale[t] · Σ_k W[n, k] · norm[k] · x[t, k] + bias[n]),
// scale[t] = 1/√(mean(x[t]²) + eps) when NORM. A workgroup makes a tile of outputs; see gemm_tile. With GATED half of the
// tile's weight rows are gates, half are ups.

const OUT_N = select(TILE_N, TILE_N / 2u, GATED);

var<workgroup> norm_scale: array<f32, TILE_T>;
var<private> first_n: u32;
var<private> first_t: u32;
var<private> x_begins: vec2<u32>;  // of this thread's own rows
var<private> w_row: u32;  // of the weight: this thread's first, from first_n on
var<private> square: vec2<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  first_n = group.x * OUT_N;
  w_row = first_n + local / W_LANES;
  first_t = group.y * TILE_T;
  for (var i = 0u; i < X_ROWS; i++) {
    x_begins[i] = params.x_base + min(first_t + x_tile_row(local, i), state.rows - 1u) * params.x_stride;
  }
  var sums: Sums;
  tile_sums(&sums, local, params.row_units, state.rows - first_t);

  if (NORM) {
    keep_squares(local, square);
    workgroupBarrier();
    if (local < TILE_T) {
      norm_scale[local] = inverseSqrt(squares_of(local) / params.width + params.eps);
    }
  }
  store_sums(&sums, local, state.rows - first_t);
}

fn x_unit(i: u32, unit: u32) -> Eight {
  let at = x_begins[i] + 2u * unit;
  let v = Eight(x[at], x[at + 1u]);
  if (!NORM) {
    return v;
  }
  square[i] += dot(v.lo, v.lo) + dot(v.hi, v.hi);
  return Eight(v.lo * norm[2u * unit], v.hi * norm[2u * unit + 1u]);
}

fn w_begin(i: u32) -> u32 {
  var n = w_row + i * W_STEP;
  if (GATED && n >= first_n + OUT_N) {
    n = min(n - OUT_N, params.rows - 1u) + params.rows;
  } else {
    n = min(n, params.rows - 1u);
  }
  return n * params.row_units;
}

fn store(row: u32, column: u32, sum: u32) {
  let n = first_n + column;
  if (n >= params.padded_rows) {
    return;
  }
  var scale = 1.0;
  if (NORM) {
    scale = norm_scale[row];
  }
  var value = scale * sum_at(sum, column);
  if (BIAS) {
    value += bias[params.bias_base + min(n, params.rows - 1u)];
  }
  if (GATED) {
    value = apply(value, scale * sum_at(sum, column + OUT_N));
  }
  let at = params.y_base + (first_t + row) * params.y_stride + n;
  if (ADD) {
    value += y[at];
  }
  if (GATE) {
    value = apply(y[at], value);
  }
  y[at] = select(0.0, value, n < params.rows);
}
