// As gemm_tile, by halves: two rows of x lie side by side, so that one packed instruction makes two sums. What halves hold is made
// to fit: 32 numbers of a row of x share a power of two, and sums of 32 products become floats.

const THREADS_N = TILE_N / 8u;
const THREADS_T = TILE_T / 8u;
const WORKGROUP = THREADS_N * THREADS_T;
const X_ROWS = 2u;
const X_LANES = TILE_K / 8u;  // threads of two rows
const W_LANES = 1u;
const W_STEP = WORKGROUP;
const STORE_T = 1u;
const STORE_PARTS = 4u;
const W_SCALE = 16.0;  // lifts small weights from where a device may take halves for zero
const_assert TILE_K == 32u && TILE_N == 128u && THREADS_T >= STORE_PARTS && (THREADS_T & (THREADS_T - 1u)) == 0u;

// Of a step [eight numbers][four of them][pair of rows of a quarter][quarter of the tile][two of the four]: both rows in turn.
var<workgroup> x_tile: array<array<array<array<array<vec4<f16>, 2>, 4>, THREADS_T>, 2>, X_LANES>;
var<workgroup> x_scale: array<array<vec2<f32>, 4>, THREADS_T>;  // [pair of rows of a quarter][quarter of the tile]
// [eight numbers][four of them][two eighths of the tile][row of an eighth][which of the two]: threads read side by side.
var<workgroup> w_tile: array<array<array<array<array<vec4<f16>, 2>, THREADS_N>, 4>, 2>, X_LANES>;
// During a step, of eight numbers of a row the largest: [row, pair by pair]; then sums.
var<workgroup> kept: array<vec4<u32>, TILE_T>;

fn x_tile_row(local: u32, i: u32) -> u32 {
  let pair = local / X_LANES;
  return (pair / THREADS_T * 2u + i) * THREADS_T + (pair & (THREADS_T - 1u));
}

// As a word, which is larger where the number is.
fn largest_of_eight(v: Eight) -> u32 {
  let most = max(abs(v.lo), abs(v.hi));
  return bitcast<u32>(max(max(most.x, most.y), max(most.z, most.w)));
}

// The exponent of a row's largest number, which is to leave room for the scales.
fn exponent_of(row: u32) -> u32 {
  let v = kept[row];
  return clamp(max(max(v.x, v.y), max(v.z, v.w)), 0x02800000u, 0x7e800000u) & 0x7f800000u;
}

fn halves_of(a: vec2<f32>, b: vec2<f32>) -> vec4<f16> {
  return vec4<f16>(vec4<f32>(a.x, b.x, a.y, b.y));
}

fn keep_x(local: u32, a: Eight, b: Eight) {
  let pair = local / X_LANES;
  let own = local & (X_LANES - 1u);
  let row = pair & (THREADS_T - 1u);
  let quarter = pair / THREADS_T;
  let exponents = vec2<u32>(exponent_of(2u * pair), exponent_of(2u * pair + 1u));
  if (own == 0u) {
    x_scale[row][quarter] = bitcast<vec2<f32>>(exponents - vec2<u32>(0x02000000u));  // over W_SCALE
  }
  let up = bitcast<vec2<f32>>(vec2<u32>(0x7f000000u) - exponents);  // leaves less than 2
  let lo = Eight(up.x * a.lo, up.y * b.lo);
  let hi = Eight(up.x * a.hi, up.y * b.hi);
  x_tile[own][0][row][quarter][0] = halves_of(lo.lo.xy, lo.hi.xy);
  x_tile[own][0][row][quarter][1] = halves_of(lo.lo.zw, lo.hi.zw);
  x_tile[own][1][row][quarter][0] = halves_of(hi.lo.xy, hi.hi.xy);
  x_tile[own][1][row][quarter][1] = halves_of(hi.lo.zw, hi.hi.zw);
}

fn x_unit_or_zeros(i: u32, unit: u32, row_units: u32) -> Eight {
  if (STEP == 1u || unit < row_units) {  // blocks of 32 end with the row
    return x_unit(i, unit);
  }
  return Eight();
}

fn keep_w(row: u32, w: Block, factor: f32) {
  for (var i = 0u; i < 8u; i++) {
    let scale = factor * w.scale[i / 4u];
    let offset = factor * w.offset[i / 4u] - SHIFT * scale;
    w_tile[i / 2u][i % 2u][row / (2u * THREADS_N)][row & (THREADS_N - 1u)][(row / THREADS_N) & 1u] = vec4<f16>(scale * w.q[i] + offset);
  }
}

fn tile_sums(sums: ptr<function, Sums>, local: u32, row_units: u32, count: u32) {
  var begins: array<u32, TILE_N / W_STEP>;
  var factors: array<f32, TILE_N / W_STEP>;
  for (var i = 0u; i < TILE_N / W_STEP; i++) {
    begins[i] = w_begin(i) / (4u / STEP);
    factors[i] = W_SCALE * weight_scale(w_begin(i) / params.row_units);
  }
  prepare(local);
  for (var base = 0u; base < row_units; base += 4u) {
    let unit = base + (local & (X_LANES - 1u));
    let a = x_unit_or_zeros(0u, unit, row_units);
    let b = x_unit_or_zeros(1u, unit, row_units);
    kept[local / X_LANES * 2u][local & (X_LANES - 1u)] = largest_of_eight(a);
    kept[local / X_LANES * 2u + 1u][local & (X_LANES - 1u)] = largest_of_eight(b);
    workgroupBarrier();
    keep_x(local, a, b);
    for (var i = 0u; i < TILE_N / W_STEP; i++) {
      keep_w(local + i * W_STEP, load32(begins[i], base / (4u / STEP)), factors[i]);
    }
    workgroupBarrier();
    add_products(sums, local, count);
  }
}

// Four numbers of each eighth's row `tn`. Where a compiler sees how large an index may be, its loads have constant offsets.
fn w_rows(unit: u32, four: u32, tn: u32) -> array<vec4<f16>, 8> {
  let u = unit & (X_LANES - 1u);
  return array<vec4<f16>, 8>(w_tile[u][four][0][tn][0], w_tile[u][four][0][tn][1], w_tile[u][four][1][tn][0], w_tile[u][four][1][tn][1],
                             w_tile[u][four][2][tn][0], w_tile[u][four][2][tn][1], w_tile[u][four][3][tn][0], w_tile[u][four][3][tn][1]);
}

fn add_products(sums: ptr<function, Sums>, local: u32, count: u32) {
  let tn = local & (THREADS_N - 1u);
  let tt = (local / THREADS_N) & (THREADS_T - 1u);
  var products: array<vec2<f16>, 32>;  // [pair of rows of x][row of the weight]
  for (var unit = 0u; unit < X_LANES; unit++) {
    for (var i = 0u; i < 2u; i++) {
      let w = w_rows(unit, i, tn);
      for (var first = 0u; first < 4u; first += 2u) {
        if (first == 0u || 2u * first * THREADS_T < count) {
          for (var pair = first; pair < first + 2u; pair++) {
            let x = x_tile[unit & (X_LANES - 1u)][i][tt][pair];
            for (var n = 0u; n < 8u; n++) {
              var sum = products[8u * pair + n];
              sum += x[0].xy * w[n].x;
              sum += x[0].zw * w[n].y;
              sum += x[1].xy * w[n].z;
              products[8u * pair + n] = sum + x[1].zw * w[n].w;
            }
          }
        }
      }
    }
  }
  for (var pair = 0u; pair < 4u; pair++) {
    let scale = x_scale[tt][pair];
    for (var i = 0u; i < 2u; i++) {
      let p = 8u * pair + 4u * i;
      let two = array<vec2<f32>, 4>(vec2<f32>(products[p]), vec2<f32>(products[p + 1u]), vec2<f32>(products[p + 2u]), vec2<f32>(products[p + 3u]));
      (*sums)[4u * pair + i] += scale.x * vec4<f32>(two[0].x, two[1].x, two[2].x, two[3].x);
      (*sums)[4u * pair + 2u + i] += scale.y * vec4<f32>(two[0].y, two[1].y, two[2].y, two[3].y);
    }
  }
}

// Each pair of rows is THREADS_T apart.
fn keep_squares(local: u32, squares: vec2<f32>) {
  kept[local / X_LANES * 2u][local & (X_LANES - 1u)] = bitcast<u32>(squares.x);
  kept[local / X_LANES * 2u + 1u][local & (X_LANES - 1u)] = bitcast<u32>(squares.y);
}

fn squares_of(row: u32) -> f32 {
  let pair = row / (2u * THREADS_T) * THREADS_T + row % THREADS_T;
  return dot(bitcast<vec4<f32>>(kept[2u * pair + row / THREADS_T % 2u]), vec4<f32>(1.0));
}

fn keep_sums(row: u32, at: u32, four: vec4<f32>) {
  kept[2u * THREADS_N * row + at] = bitcast<vec4<u32>>(four);
}

fn kept_sums(row: u32, at: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(kept[2u * THREADS_N * row + at]);
}
