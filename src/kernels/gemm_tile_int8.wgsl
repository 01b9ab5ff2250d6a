// As gemm_tile, by integers: numbers of x are bytes, sixteen to a scale, and so are the weights.

const THREADS_N = TILE_N / 8u;
const THREADS_T = TILE_T / 8u;
const WORKGROUP = THREADS_N * THREADS_T;
const BLOCKS = TILE_K / 32u;
const HALVES = TILE_K / 16u;
const X_ROWS = 1u;
const X_LANES = HALVES;  // threads of a row
const W_LANES = BLOCKS;
const W_STEP = WORKGROUP / W_LANES;
const STORE_T = 1u;
const STORE_PARTS = 1u;
const_assert TILE_T * X_LANES == WORKGROUP && TILE_N % W_STEP == 0u && THREADS_T <= 8u;

// [a row's eighth of the tile][place of sixteen of its numbers]
var<workgroup> x_tile: array<array<vec4<u32>, THREADS_T * HALVES>, 8>;
var<workgroup> x_scale: array<array<vec2<f32>, THREADS_T * HALVES>, 8>;  // and the sum
var<workgroup> w_tile: array<array<vec4<u32>, THREADS_N * HALVES>, 8>;
var<workgroup> w_scale: array<array<vec2<f32>, THREADS_N * HALVES>, 8>;  // and the offset

fn x_tile_row(local: u32, i: u32) -> u32 {
  return local / X_LANES;
}

// It changes from row to row, which spreads a column over the banks.
fn place_of(row: u32, half: u32) -> u32 {
  return row * HALVES + (half ^ ((row * HALVES / 8u) % HALVES));
}

// Bytes less ZERO, with a sign.
fn signed_of(words: vec4<u32>) -> vec4<u32> {
  let tops = vec4<u32>(0x80808080u);
  if (ZERO == 0.0 || ZERO == 128.0) {
    return words ^ select(vec4<u32>(), tops, ZERO == 128.0);
  }
  return ((words | tops) - vec4<u32>(u32(ZERO) * 0x01010101u)) ^ tops;
}

fn keep_x(row: u32, half: u32, a: Eight, b: Eight) {
  let q = quantized(array<vec4<f32>, 4>(a.lo, a.hi, b.lo, b.hi));
  x_tile[row / THREADS_T][place_of(row % THREADS_T, half)] = q.words;
  x_scale[row / THREADS_T][row % THREADS_T * HALVES + half] = q.scale * vec2<f32>(1.0, f32(q.sum));
}

fn keep_w(row: u32, block: u32, w: Bytes) {
  let at = row % THREADS_N;
  let lo = signed_of(w.lo);
  let hi = signed_of(w.hi);
  w_tile[row / THREADS_N][place_of(at, 2u * block)] = vec4<u32>(lo.x, hi.x, lo.y, hi.y);
  w_tile[row / THREADS_N][place_of(at, 2u * block + 1u)] = vec4<u32>(lo.z, hi.z, lo.w, hi.w);
  let last = select(1u, 0u, GROUP == 32u);
  w_scale[row / THREADS_N][at * HALVES + 2u * block] = vec2<f32>(w.scale.x, w.offset.x);
  w_scale[row / THREADS_N][at * HALVES + 2u * block + 1u] = vec2<f32>(w.scale[last], w.offset[last]);
}

fn x_unit_or_zeros(unit: u32, row_units: u32) -> Eight {
  if (unit < row_units) {
    return x_unit(0u, unit);
  }
  return Eight();
}

fn tile_sums(sums: ptr<function, Sums>, local: u32, row_units: u32, count: u32) {
  let tn = local % THREADS_N;
  let tt = local / THREADS_N;
  let x_lane = local % X_LANES;
  let w_lane = local % W_LANES;
  let row_blocks = row_units / 4u;
  var begins: array<u32, TILE_N / W_STEP>;
  for (var i = 0u; i < TILE_N / W_STEP; i++) {
    begins[i] = w_begin(i) / 4u;
  }
  prepare(local);
  for (var base = 0u; base < row_blocks; base += BLOCKS) {
    let a = x_unit_or_zeros(4u * base + 2u * x_lane, row_units);
    let b = x_unit_or_zeros(4u * base + 2u * x_lane + 1u, row_units);
    workgroupBarrier();
    keep_x(local / X_LANES, x_lane, a, b);
    for (var i = 0u; i < TILE_N / W_STEP; i++) {
      keep_w(local / W_LANES + i * W_STEP, w_lane, load_bytes(begins[i], min(base + w_lane, row_blocks - 1u)));
    }
    workgroupBarrier();
    // As many as there are, which no compiler can unroll: registers would be too many for ten subgroups a SIMD.
    for (var half = 0u; half < min(HALVES, 2u * (row_blocks - base)); half++) {
      add_half(sums, tn, tt, half, count);
    }
  }
}

struct Rows {
  words: array<vec4<u32>, 4>,
  scale: vec4<f32>,
  offset: vec4<f32>,
}

// Sixteen numbers of four rows of the weight.
fn four_rows(eighth: u32, tn: u32, half: u32) -> Rows {
  let place = place_of(tn, half);
  let at = tn * HALVES + half;
  let s = transpose(mat4x2<f32>(w_scale[eighth][at], w_scale[eighth + 1u][at], w_scale[eighth + 2u][at], w_scale[eighth + 3u][at]));
  return Rows(array<vec4<u32>, 4>(w_tile[eighth][place], w_tile[eighth + 1u][place], w_tile[eighth + 2u][place],
                                  w_tile[eighth + 3u][place]), s[0], s[1]);
}

fn product(w: vec4<u32>, x: vec4<u32>) -> f32 {
  return f32(dot4I8Packed(w.x, x.x) + dot4I8Packed(w.y, x.y) + dot4I8Packed(w.z, x.z) + dot4I8Packed(w.w, x.w));
}

fn products(w: Rows, x: vec4<u32>, scale: vec2<f32>) -> vec4<f32> {
  let sums = vec4<f32>(product(w.words[0], x), product(w.words[1], x), product(w.words[2], x), product(w.words[3], x));
  return w.scale * (scale.x * sums) + w.offset * scale.y;
}

fn add_half(sums: ptr<function, Sums>, tn: u32, tt: u32, half: u32, count: u32) {
  let x_place = place_of(tt, half);
  let a = four_rows(0u, tn, half);
  let b = four_rows(4u, tn, half);
  for (var first = 0u; first < 8u; first += 4u) {
    if (first * THREADS_T < count) {
      for (var t = first; t < first + 4u; t++) {
        let x = x_tile[t][x_place];
        let scale = x_scale[t][tt * HALVES + half];
        (*sums)[2u * t] += products(a, x, scale);
        (*sums)[2u * t + 1u] += products(b, x, scale);
      }
    }
  }
}

fn keep_sums(row: u32, at: u32, four: vec4<f32>) {
  w_tile[row][at] = bitcast<vec4<u32>>(four);
}

fn kept_sums(row: u32, at: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(w_tile[row][at]);
}
