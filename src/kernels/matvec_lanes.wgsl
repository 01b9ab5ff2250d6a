// As matvec.wgsl of one token, by lanes of a CPU. A workgroup is LANES of them, each with eight rows of the weight, with
// GATED four gates and four ups.

const WORKGROUP = LANES;
const ROWS = 8u;
const MATRICES = select(1u, 2u, GATED);
const OUT_N = WORKGROUP * ROWS / MATRICES;

// Sums of a lane's rows, which are taken in turn: the first becomes the last. An array would be read lane by lane.
struct Sums {
  first: vec4<f32>,
  last: vec4<f32>,
}

struct Activations {
  v: Floats32,
  sums: vec2<f32>,  // of each half
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  if (state.finished != 0u) {
    return;
  }
  if (PREPARES) {
    prepare(lane);
    workgroupBarrier();
  }
  let first_n = group.x * OUT_N + lane;
  let rows = min(ROWS, params.padded_rows * ROWS);
  let row_steps = params.row_units * STEP / 4u;

  var sums: Sums;
  var squares = 0.0;  // of this lane's activations
  for (var block = 0u; 4u * block < params.row_units; block++) {
    let a = activations(block, lane, &squares);
    for (var r = 0u; r < rows; r++) {
      sums = turned(sums, sums.first.x + product(load32(row_of(first_n, r) * row_steps, STEP * block), a));
    }
  }

  let scale = token_scale(squares);
  for (var r = 0u; r < rows; r += MATRICES) {
    let n = first_n + r / MATRICES * LANES;
    let sum = scale * weight_scale(row_of(first_n, r)) * sums.first.x;
    sums = turned(sums, 0.0);
    if (GATED) {
      store(0u, n, apply(sum, scale * weight_scale(row_of(first_n, r + 1u)) * sums.first.x));
      sums = turned(sums, 0.0);
    } else {
      store(0u, n, sum);
    }
  }
}

fn turned(sums: Sums, last: f32) -> Sums {
  return Sums(vec4<f32>(sums.first.yzw, sums.last.x), vec4<f32>(sums.last.yzw, last));
}

// The r-th of a lane's, with GATED gates and ups in turn.
fn row_of(first_n: u32, r: u32) -> u32 {
  return r % MATRICES * params.rows + min(first_n + r / MATRICES * LANES, params.rows - 1u);
}

fn activations(block: u32, lane: u32, squares: ptr<function, f32>) -> Activations {
  var own: Loaded;
  let fours = 2u * params.row_units;
  for (var i = 0u; i < LOADS; i++) {
    let at = 8u * block + lane + i * LANES;
    own[i] = select(vec4<f32>(), x[params.x_base + min(at, fours - 1u)], at < fours);
    if (NORM) {
      *squares += dot(own[i], own[i]);
      own[i] *= norm[min(at, fours - 1u)];
    }
  }
  let v = pass_on(own);
  return Activations(v, vec2<f32>(sum_of(v[0] + v[1] + v[2] + v[3]), sum_of(v[4] + v[5] + v[6] + v[7])));
}

fn pass_on(own: Loaded) -> Floats32 {
  let lo = own[0];
  let hi = own[LOADS - 1u];
  return Floats32(subgroupBroadcast(lo, 0u), subgroupBroadcast(lo, 1u), subgroupBroadcast(lo, 2u), subgroupBroadcast(lo, 3u),
                  subgroupBroadcast(hi, 4u % LANES), subgroupBroadcast(hi, 5u % LANES), subgroupBroadcast(hi, 6u % LANES),
                  subgroupBroadcast(hi, 7u % LANES));
}

// See products.wgsl.
fn product(w: Block, a: Activations) -> f32 {
  let first = half_products(w.q, a.v, 0u);
  let last = half_products(w.q, a.v, 4u);
  if (GROUP == 32u) {
    let sum = a.sums.x + a.sums.y;
    return w.scale.x * (sum_of(first + last) - SHIFT * sum) + w.offset.x * sum;
  }
  return dot(w.scale, vec2<f32>(sum_of(first), sum_of(last)) - SHIFT * a.sums) + dot(w.offset, a.sums);
}

// Of the half that begins there, four sums of products side by side: a CPU adds them at the same time.
fn half_products(w: Floats32, v: Floats32, first: u32) -> vec4<f32> {
  return w[first] * v[first] + w[first + 1u] * v[first + 1u] + w[first + 2u] * v[first + 2u] + w[first + 3u] * v[first + 3u];
}
