// As gemm_whole, where a workgroup goes through one of SPLITS parts of k: its sums are partial, for gemm_combine.

const PART_UNITS = 32u;  // parts are multiples of 256 numbers: of the blocks of every format, and of every tile's depth

var<private> split: u32;
var<private> first_unit: u32;

// Where k is short the last parts have nothing.
fn begin_part(part: u32) -> u32 {
  let each = (params.row_units + SPLITS * PART_UNITS - 1u) / (SPLITS * PART_UNITS) * PART_UNITS;
  let first = min(part * each, params.row_units);
  split = part;
  first_unit = first;
  return min(each, params.row_units - first);
}

// The tiles of a token have the same squares: the first one's are kept.
fn store_squares(row: u32, squares: f32) {
  if (first_n == 0u && first_t + row < state.rows) {
    y[squares_place(split, first_t + row)] = squares;
  }
}

fn store(row: u32, column: u32, sum: u32) {
  let n = first_n + column;
  if (n >= params.rows) {
    return;
  }
  let at = sum_place(split, first_t + row, n);
  y[at] = sum_at(sum, column);
  if (GATED) {
    y[at + params.rows] = sum_at(sum, column + OUT_N);
  }
}
