// Many rows of activations times a weight: y[t, n] = epilogue(scale[t] · Σ_k W[n, k] · norm[k] · x[t, k] + bias[n]),
// scale[t] = 1/√(mean(x[t]²) + eps) when NORM. A workgroup makes a tile of outputs; see gemm_tile. With GATED half of the
// tile's weight rows are gates, half are ups. gemm_whole goes through all of k, gemm_split through a part of it.

const OUT_N = select(TILE_N, TILE_N / 2u, GATED);

var<private> first_n: u32;
var<private> first_t: u32;
var<private> x_begins: vec2<u32>;  // of this thread's own rows
var<private> w_row: u32;  // of the weight: this thread's first, from first_n on
var<private> square: vec2<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let units = begin_part(group.z);
  first_n = group.x * OUT_N;
  w_row = first_n + local / W_LANES;
  first_t = group.y * TILE_T;
  for (var i = 0u; i < X_ROWS; i++) {
    x_begins[i] = params.x_base + min(first_t + x_tile_row(local, i), state.rows - 1u) * params.x_stride + 2u * first_unit;
  }
  var sums: Sums;
  tile_sums(&sums, local, units, state.rows - first_t);

  if (NORM) {
    keep_squares(local, square);
    workgroupBarrier();
    if (local < TILE_T) {
      store_squares(local, squares_of(local));
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
  let k = 2u * (first_unit + unit);
  return Eight(v.lo * norm[k], v.hi * norm[k + 1u]);
}

fn w_begin(i: u32) -> u32 {
  var n = w_row + i * W_STEP;
  if (GATED && n >= first_n + OUT_N) {
    n = min(n - OUT_N, params.rows - 1u) + params.rows;
  } else {
    n = min(n, params.rows - 1u);
  }
  return n * params.row_units + first_unit;
}
