// As gemm.wgsl, by lanes of a CPU. A thread has two rows of the weight, with GATED a gate and its up, of which it decodes 32
// numbers at a time for TILE_T tokens.

const WORKGROUP = TILE_N / 2u;
const OUT_N = select(TILE_N, WORKGROUP, GATED);

// Of both rows, four sums side by side: a CPU adds them at the same time.
struct Products {
  row: vec4<f32>,
  other: vec4<f32>,
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32,
        @builtin(subgroup_invocation_id) invocation: u32) {
  if (state.finished != 0u) {
    return;
  }
  let lane = invocation % LANES;
  let first_t = group.y * TILE_T;
  let tokens = min(TILE_T, max(state.rows, 1u) - first_t);
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
    var factors: Loaded;
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
      var p = Products();
      p = add(p, a[0], b[0], subgroupBroadcast(lo, 0u));
      p = add(p, a[1], b[1], subgroupBroadcast(lo, 1u));
      p = add(p, a[2], b[2], subgroupBroadcast(lo, 2u));
      p = add(p, a[3], b[3], subgroupBroadcast(lo, 3u));
      p = add(p, a[4], b[4], subgroupBroadcast(hi, 4u % LANES));
      p = add(p, a[5], b[5], subgroupBroadcast(hi, 5u % LANES));
      p = add(p, a[6], b[6], subgroupBroadcast(hi, 6u % LANES));
      p = add(p, a[7], b[7], subgroupBroadcast(hi, 7u % LANES));
      sums[t] += vec2<f32>(sum_of(p.row), sum_of(p.other));
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

fn floats_of(row: u32, block: u32) -> Floats32 {
  let w = load32(row, STEP * block);
  var v: Floats32;
  for (var i = 0u; i < 4u; i++) {
    v[i] = (w.q[i] - SHIFT) * w.scale.x + w.offset.x;
    v[i + 4u] = (w.q[i + 4u] - SHIFT) * w.scale.y + w.offset.y;
  }
  return v;
}

fn add(p: Products, a: vec4<f32>, b: vec4<f32>, v: vec4<f32>) -> Products {
  return Products(p.row + a * v, p.other + b * v);
}
