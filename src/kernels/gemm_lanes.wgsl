// As gemm.wgsl, and as matvec.wgsl for one token, for devices whose threads are the lanes of a CPU, where every load is one for each lane, whatever memory it is
// from, and a barrier is a switch of coroutines: LANES lanes of a subgroup load an activation each and pass it to all others.
// A thread has two rows of the weight, with GATED a gate and its up, of which it decodes 32 numbers at a time for TILE_T tokens.

@group(0) @binding(0) var<uniform> params: MatMulParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> weights4: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> weights1: array<u32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

const WORKGROUP = TILE_N / 2u;
const OUT_N = select(TILE_N, WORKGROUP, GATED);
const LOADS = 8u / LANES;  // of a lane, for 32 activations

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32,
        @builtin(subgroup_invocation_id) invocation: u32) {
  if (state.finished != 0u) {
    return;
  }
  let lane = invocation % LANES;
  let first_t = group.y * TILE_T;
  let tokens = min(TILE_T, max(state.rows, 1u) - first_t);  // no constant: a loop that is unrolled compiles thrice as long
  let n = group.x * OUT_N + local;
  let row = min(n, params.rows - 1u);
  let other = select(min(n + WORKGROUP, params.rows - 1u), params.rows + row, GATED);
  let row_steps = params.row_units * STEP / 4u;
  if (PREPARES) {
    prepare(local);
    workgroupBarrier();
  }

  var sums: array<vec2<f32>, TILE_T>;
  var squares: array<f32, TILE_T>;  // of this lane's activations
  for (var block = 0u; 4u * block < params.row_units; block++) {
    let a = floats_of(row * row_steps, block);
    let b = floats_of(other * row_steps, block);
    var inside: array<bool, LOADS>;  // of the row: behind its end activations are zero
    var factors: array<vec4<f32>, LOADS>;
    for (var i = 0u; i < LOADS; i++) {
      let at = 8u * block + lane + i * LANES;
      inside[i] = at < 2u * params.row_units;
      factors[i] = vec4<f32>(1.0);
      if (NORM && inside[i]) {
        factors[i] = norm[at];
      }
    }
    for (var t = 0u; t < tokens; t++) {
      let at = params.x_base + (first_t + t) * params.x_stride + 8u * block + lane;
      var v = vec4<f32>();
      if (inside[0]) {
        v = x[at];
      }
      var w = v;
      if (LOADS == 2u) {
        w = vec4<f32>();
        if (inside[LOADS - 1u]) {
          w = x[at + LANES];
        }
      }
      if (NORM) {
        squares[t] += dot(v, v) + select(0.0, dot(w, w), LOADS == 2u);
      }
      let lo = v * factors[0];
      let hi = w * factors[LOADS - 1u];
      var sum = sums[t];
      sum = add(sum, a[0], b[0], subgroupBroadcast(lo, 0u));
      sum = add(sum, a[1], b[1], subgroupBroadcast(lo, 1u));
      sum = add(sum, a[2], b[2], subgroupBroadcast(lo, 2u));
      sum = add(sum, a[3], b[3], subgroupBroadcast(lo, 3u));
      sum = add(sum, a[4], b[4], subgroupBroadcast(hi, 4u % LANES));
      sum = add(sum, a[5], b[5], subgroupBroadcast(hi, 5u % LANES));
      sum = add(sum, a[6], b[6], subgroupBroadcast(hi, 6u % LANES));
      sum = add(sum, a[7], b[7], subgroupBroadcast(hi, 7u % LANES));
      sums[t] = sum;
    }
  }

  for (var t = 0u; t < tokens; t++) {
    let sum = token_scale(squares[t]) * sums[t] * vec2<f32>(weight_scale(row), weight_scale(other));
    if (GATED) {
      store(first_t + t, n, apply(sum.x, sum.y));
    } else {
      store(first_t + t, n, sum.x);
      store(first_t + t, n + WORKGROUP, sum.y);
    }
  }
}

// Of a token; each lane gives its activations' squares.
fn token_scale(squares: f32) -> f32 {
  if (!NORM) {
    return 1.0;
  }
  var sum = squares;
  for (var step = 1u; step < LANES; step <<= 1u) {
    sum += subgroupShuffleXor(sum, step);
  }
  return inverseSqrt(sum / params.width + params.eps);
}

fn floats_of(row: u32, block: u32) -> array<vec4<f32>, 8> {
  let w = load32(row, STEP * block);
  var v: array<vec4<f32>, 8>;
  for (var i = 0u; i < 4u; i++) {
    v[i] = (w.q[i] - SHIFT) * w.scale.x + w.offset.x;
    v[i + 4u] = (w.q[i + 4u] - SHIFT) * w.scale.y + w.offset.y;
  }
  return v;
}

fn add(sums: vec2<f32>, a: vec4<f32>, b: vec4<f32>, v: vec4<f32>) -> vec2<f32> {
  return vec2<f32>(add_products(sums.x, a, v), add_products(sums.y, b, v));
}

fn add_products(sum: f32, w: vec4<f32>, v: vec4<f32>) -> f32 {
  return fma(w.w, v.w, fma(w.z, v.z, fma(w.y, v.y, fma(w.x, v.x, sum))));
}

fn store(token: u32, n: u32, sum: f32) {
  if (n >= params.padded_rows) {
    return;
  }
  var value = sum;
  if (BIAS) {
    value += bias[params.bias_base + min(n, params.rows - 1u)];
  }
  let at = params.y_base + token * params.y_stride + n;
  if (ADD) {
    value += y[at];
  }
  if (GATE) {
    value = apply(y[at], value);
  }
  y[at] = select(0.0, value, n < params.rows);
}
