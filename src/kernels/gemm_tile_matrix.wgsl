// As gemm_tile, by matrices of a subgroup (chromium_experimental_subgroup_matrix): of halves, MATRIX × MATRIX, whose sums are
// floats. A row of x is scaled by a power of two such that halves hold it: for that it is read twice. Subgroups are taken to
// be SUBGROUP threads in a row; smaller ones do each other's work again.

const WORKGROUP = SUBGROUPS * SUBGROUP;
const X_ROWS = 2u;
const X_LANES = TILE_K / 8u;  // threads of two rows
const W_LANES = 1u;
const W_STEP = WORKGROUP;
const STRIDE = TILE_K + 8u;  // of rows in workgroup memory: spreads them over the banks
const SUBGROUPS_N = SUBGROUPS / SUBGROUPS_T;
const OWN_T = TILE_T / SUBGROUPS_T / MATRIX;  // matrices of a subgroup
const OWN_N = TILE_N / SUBGROUPS_N / MATRIX;
const X_HALVES = TILE_T * STRIDE;
const W_HALVES = TILE_N * STRIDE;
const KEPT = MATRIX * TILE_N;
const ROW_LANES = TILE_T * X_LANES;
const LARGEST = 0x45800000u;  // 4096: the power of two below a row's largest number becomes it
const W_SCALE = 16.0;         // see gemm_tile_f16
const_assert TILE_K == 32u && TILE_T * X_LANES == X_ROWS * WORKGROUP && TILE_N <= WORKGROUP;

alias Sums = array<subgroup_matrix_result<f32, MATRIX, MATRIX>, OWN_T * OWN_N>;  // [rows of x][rows of the weight]

var<workgroup> x_tile: array<f16, X_HALVES>;  // [row][k]
var<workgroup> w_tile: array<f16, W_HALVES>;
var<workgroup> x_scale: array<f32, TILE_T>;
var<workgroup> of_lanes: array<f32, ROW_LANES>;  // of a row, thread by thread
var<workgroup> kept: array<f32, KEPT>;            // sums of as many rows of x as a matrix has

fn x_tile_row(local: u32, i: u32) -> u32 {
  return local / X_LANES * X_ROWS + i;
}

fn keep_of_rows(local: u32, values: vec2<f32>) {
  of_lanes[x_tile_row(local, 0u) * X_LANES + local % X_LANES] = values.x;
  of_lanes[x_tile_row(local, 1u) * X_LANES + local % X_LANES] = values.y;
}

fn largest_of(row: u32) -> f32 {
  var most = 0.0;
  for (var i = 0u; i < X_LANES; i++) {
    most = max(most, of_lanes[row * X_LANES + i]);
  }
  return most;
}

fn largest_of_eight(v: Eight) -> f32 {
  let most = max(abs(v.lo), abs(v.hi));
  return max(max(most.x, most.y), max(most.z, most.w));
}

// What a row is multiplied by: a power of two.
fn lift_of(row: u32) -> f32 {
  let exponent = clamp(bitcast<u32>(largest_of(row)) & 0x7f800000u, 0x07800000u, 0x7f000000u);
  return bitcast<f32>(LARGEST + 0x3f800000u - exponent);
}

fn tile_sums(sums: ptr<function, Sums>, local: u32, row_units: u32, count: u32) {
  let lane = local % X_LANES;
  var most = vec2<f32>();
  for (var unit = lane; unit < row_units; unit += X_LANES) {
    most = max(most, vec2<f32>(largest_of_eight(x_unit(0u, unit)), largest_of_eight(x_unit(1u, unit))));
  }
  keep_of_rows(local, most);
  let squares = square;
  workgroupBarrier();
  let lifts = vec2<f32>(lift_of(x_tile_row(local, 0u)), lift_of(x_tile_row(local, 1u)));
  if (lane < X_ROWS) {
    x_scale[x_tile_row(local, lane)] = 1.0 / (W_SCALE * lifts[lane]);
  }
  prepare(local);
  let begin = w_begin(0u) / (4u / STEP);
  let factor = W_SCALE * weight_scale(w_begin(0u) / params.row_units);

  for (var base = 0u; base < row_units; base += 4u) {
    workgroupBarrier();
    for (var i = 0u; i < X_ROWS; i++) {
      var v = Eight();
      if (STEP == 1u || base + lane < row_units) {  // blocks of 32 end with the row
        v = x_unit(i, base + lane);
      }
      keep_x(x_tile_row(local, i) * STRIDE + 8u * lane, lifts[i] * v.lo, lifts[i] * v.hi);
    }
    if (local < TILE_N) {
      keep_w(local * STRIDE, load32(begin, base / (4u / STEP)), factor);
    }
    workgroupBarrier();
    add_products(sums, local / SUBGROUP);
  }
  square = squares;
}

fn keep_x(at: u32, lo: vec4<f32>, hi: vec4<f32>) {
  for (var i = 0u; i < 4u; i++) {
    x_tile[at + i] = f16(lo[i]);
    x_tile[at + 4u + i] = f16(hi[i]);
  }
}

fn keep_w(at: u32, w: Block, factor: f32) {
  for (var i = 0u; i < 8u; i++) {
    let four = vec4<f16>(factor * (w.scale[i / 4u] * (w.q[i] - SHIFT) + w.offset[i / 4u]));
    for (var j = 0u; j < 4u; j++) {
      w_tile[at + 4u * i + j] = four[j];
    }
  }
}

// The first rows of a subgroup's matrices.
fn first_t_of(subgroup: u32) -> u32 {
  return subgroup / SUBGROUPS_N * (OWN_T * MATRIX);
}
fn first_n_of(subgroup: u32) -> u32 {
  return subgroup % SUBGROUPS_N * (OWN_N * MATRIX);
}

fn add_products(sums: ptr<function, Sums>, subgroup: u32) {
  let own_t = first_t_of(subgroup);
  let own_n = first_n_of(subgroup);
  for (var k = 0u; k < TILE_K; k += MATRIX) {
    for (var t = 0u; t < OWN_T; t++) {
      let x = subgroupMatrixLoad<subgroup_matrix_left<f16, MATRIX, MATRIX>, row_major>(&x_tile, (own_t + t * MATRIX) * STRIDE + k, STRIDE);
      for (var n = 0u; n < OWN_N; n++) {
        let w = subgroupMatrixLoad<subgroup_matrix_right<f16, MATRIX, MATRIX>, col_major>(&w_tile, (own_n + n * MATRIX) * STRIDE + k, STRIDE);
        (*sums)[t * OWN_N + n] = subgroupMatrixMultiplyAccumulate(x, w, (*sums)[t * OWN_N + n]);
      }
    }
  }
}

fn store_sums(sums: ptr<function, Sums>, local: u32, count: u32) {
  let subgroup = local / SUBGROUP;
  for (var first = 0u; first < TILE_T; first += MATRIX) {
    workgroupBarrier();
    for (var t = 0u; t < OWN_T; t++) {
      if (first_t_of(subgroup) + t * MATRIX == first) {
        for (var n = 0u; n < OWN_N; n++) {
          subgroupMatrixStore<row_major>(&kept, first_n_of(subgroup) + n * MATRIX, (*sums)[t * OWN_N + n], TILE_N);
        }
      }
    }
    workgroupBarrier();
    for (var i = local; i < min(MATRIX, max(count, first) - first) * OUT_N; i += WORKGROUP) {
      store(first + i / OUT_N, i % OUT_N, first + i / OUT_N);
    }
  }
}

fn sum_at(row: u32, n: u32) -> f32 {
  return x_scale[row] * kept[row % MATRIX * TILE_N + n];
}

fn keep_squares(local: u32, squares: vec2<f32>) {
  keep_of_rows(local, squares);
}

fn squares_of(row: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < X_LANES; i++) {
    sum += of_lanes[row * X_LANES + i];
  }
  return sum;
}
