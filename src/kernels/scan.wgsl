// Selective state space. For each head, S [width, STATE], one token after the other:
// S ← e^(dt · a) S + dt · x ⊗ b;  y = S c. A row of S is one of heads · width; LANES threads share it and keep it in
// registers. `memory` holds S before the step, row by row.

@group(0) @binding(0) var<uniform> params: ScanParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> dt: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;
@group(0) @binding(5) var<storage, read> c: array<f32>;
@group(0) @binding(6) var<storage, read> a: array<f32>;
@group(0) @binding(7) var<storage, read_write> memory: array<f32>;
@group(0) @binding(8) var<storage, read_write> y: array<f32>;

const WORKGROUP = 64u;
const NUMBERS = (STATE + LANES - 1u) / LANES;  // of a row that a thread keeps: lane, lane + LANES, …

var<workgroup> shared_sums: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let lane = local % LANES;
  let row = group.x * (WORKGROUP / LANES) + local / LANES;
  let inside = row < params.heads * params.width;
  let head = min(row / params.width, params.heads - 1u);
  let column = head / (params.heads / params.groups) * STATE;  // of b and c

  var s: array<f32, NUMBERS>;
  var rate: array<f32, NUMBERS>;
  for (var i = 0u; i < NUMBERS; i++) {
    let n = min(lane + i * LANES, STATE - 1u);
    rate[i] = a[select(head, head * STATE + n, A_OF_STATE)];
    s[i] = 0.0;
    if (state.position != 0u && inside) {
      s[i] = memory[row * STATE + n];
    }
  }
  for (var t = 0u; t < state.rows; t++) {
    let step = dt[params.dt_base + t * params.dt_stride + head];
    var input = 0.0;
    if (inside) {
      input = step * x[params.x_base + t * params.x_stride + row];
    }
    let b_at = params.b_base + t * params.b_stride + column;
    let c_at = params.c_base + t * params.c_stride + column;
    var own = 0.0;
    for (var i = 0u; i < NUMBERS; i++) {
      let n = lane + i * LANES;
      if (n < STATE) {
        s[i] = exp(step * rate[i]) * s[i] + input * b[b_at + n];
        own += s[i] * c[c_at + n];
      }
    }
    workgroupBarrier();
    shared_sums[local] = own;
    workgroupBarrier();
    let y_at = params.y_base + t * params.y_stride;
    if (lane == 0u && inside) {
      var sum = 0.0;
      for (var l = 0u; l < LANES; l++) {
        sum += shared_sums[local + l];
      }
      y[y_at + row] = sum;
    }
    if (group.x == 0u && local < params.padding) {
      y[y_at + params.heads * params.width + local] = 0.0;
    }
  }
  for (var i = 0u; i < NUMBERS; i++) {
    let n = lane + i * LANES;
    if (inside && n < STATE) {
      memory[row * STATE + n] = s[i];
    }
  }
}
