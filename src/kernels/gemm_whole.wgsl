// What gemm does with its sums where a workgroup goes through all of k.

const first_unit = 0u;

var<workgroup> norm_scale: array<f32, TILE_T>;

// Units of eight numbers of k from first_unit on.
fn begin_part(part: u32) -> u32 {
  return params.row_units;
}

fn store_squares(row: u32, squares: f32) {
  norm_scale[row] = inverseSqrt(squares / params.width + params.eps);
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
  var up = 0.0;
  if (GATED) {
    up = sum_at(sum, column + OUT_N);
  }
  put(first_t + row, n, scale, sum_at(sum, column), up);
}
