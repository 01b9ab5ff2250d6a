// The product of TILE_T rows of x with TILE_N rows of a weight, which is decoded once into workgroup memory; each thread makes
// 8 × 8 of the sums. The kernel defines where rows come from: x_unit(i, unit), eight numbers of this thread's i-th row of x (row
// x_tile_row(local, i) of the tile), and w_begin(i), where its i-th row of the weight (row local / W_LANES + i · W_STEP) begins; in
// place of a row that is not there any other may come. And where sums go, see gemm_store. The tiles of
// gemm_tile_int8 and gemm_tile_f16 give the kernel the same.

const THREADS_N = TILE_N / 8u;
const THREADS_T = TILE_T / 8u;
const WORKGROUP = THREADS_N * THREADS_T;
const FOURS = TILE_K / 4u;
const UNITS = TILE_K / 8u;
const X_ROWS = 1u;  // of a thread
const X_LANES = UNITS;  // threads of a row
const W_LANES = UNITS;
const W_STEP = WORKGROUP / W_LANES;
const STORE_T = 2u;
const STORE_PARTS = 1u;
const_assert TILE_T * UNITS == WORKGROUP && TILE_N % W_STEP == 0u && THREADS_T <= 8u && FOURS >= 4u;

// [a row's eighth of the tile][place of four of its numbers]
var<workgroup> x_tile: array<array<vec4<f32>, THREADS_T * FOURS>, 8>;
var<workgroup> w_tile: array<array<vec4<f32>, THREADS_N * FOURS>, 8>;

fn x_tile_row(local: u32, i: u32) -> u32 {
  return local / X_LANES;
}

// Where the numbers from 4 k on of a row of an eighth lie: it changes from row to row, which spreads a column over the banks.
fn place_of(row: u32, k: u32) -> u32 {
  return row * FOURS + (k ^ ((row / 2u) % FOURS));
}

// Numbers of four rows of the weight, with a column for each number.
fn four_rows(eighth: u32, place: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(w_tile[eighth][place], w_tile[eighth + 1u][place],
                               w_tile[eighth + 2u][place], w_tile[eighth + 3u][place]));
}

// Of thread `local`, [t][n / 4]: rows local / THREADS_N + t · THREADS_T of x, rows local % THREADS_N + n · THREADS_N of the
// weight. Only the first `count` rows of x are wanted: sums of others may be left out.
fn tile_sums(sums: ptr<function, Sums>, local: u32, row_units: u32, count: u32) {
  let tn = local % THREADS_N;
  let tt = local / THREADS_N;
  let row = local / UNITS;
  let own = local % UNITS;
  var begins: array<u32, TILE_N / W_STEP>;
  for (var i = 0u; i < TILE_N / W_STEP; i++) {
    begins[i] = w_begin(i);
  }
  prepare(local);
  for (var base = 0u; base < row_units; base += UNITS) {
    let unit = base + own;
    var v = Eight();
    if (unit < row_units) {
      v = x_unit(0u, unit);
    }
    workgroupBarrier();
    x_tile[row / THREADS_T][place_of(row % THREADS_T, 2u * own)] = v.lo;
    x_tile[row / THREADS_T][place_of(row % THREADS_T, 2u * own + 1u)] = v.hi;
    for (var i = 0u; i < TILE_N / W_STEP; i++) {
      let w = load8_in_tile(begins[i] + min(unit, row_units - 1u));
      let eighth = row / THREADS_N + i * (W_STEP / THREADS_N);
      w_tile[eighth][place_of(row % THREADS_N, 2u * own)] = w.lo;
      w_tile[eighth][place_of(row % THREADS_N, 2u * own + 1u)] = w.hi;
    }
    workgroupBarrier();
    for (var k = 0u; k < FOURS; k++) {
      let w_place = place_of(tn, k);
      let x_place = place_of(tt, k);
      let a = four_rows(0u, w_place);
      let b = four_rows(4u, w_place);
      add_rows(sums, 0u, x_place, a, b);
      if (4u * THREADS_T < count) {
        add_rows(sums, 4u, x_place, a, b);
      }
    }
  }
}

// Four rows of x.
fn add_rows(sums: ptr<function, Sums>, first: u32, x_place: u32, a: mat4x4<f32>, b: mat4x4<f32>) {
  add_row(sums, first, x_tile[first][x_place], a, b);
  add_row(sums, first + 1u, x_tile[first + 1u][x_place], a, b);
  add_row(sums, first + 2u, x_tile[first + 2u][x_place], a, b);
  add_row(sums, first + 3u, x_tile[first + 3u][x_place], a, b);
}

// Four numbers of row t of x by those of eight rows of the weight.
fn add_row(sums: ptr<function, Sums>, t: u32, x4: vec4<f32>, a: mat4x4<f32>, b: mat4x4<f32>) {
  var sum = (*sums)[2u * t];
  sum += x4.x * a[0];
  sum += x4.y * a[1];
  sum += x4.z * a[2];
  (*sums)[2u * t] = sum + x4.w * a[3];
  sum = (*sums)[2u * t + 1u];
  sum += x4.x * b[0];
  sum += x4.y * b[1];
  sum += x4.z * b[2];
  (*sums)[2u * t + 1u] = sum + x4.w * b[3];
}

fn keep_sums(row: u32, at: u32, four: vec4<f32>) {
  w_tile[row][at] = four;
}

fn kept_sums(row: u32, at: u32) -> vec4<f32> {
  return w_tile[row][at];
}
