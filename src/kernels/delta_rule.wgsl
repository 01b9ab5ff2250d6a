// Gated delta rule. For each value head, S [KEY, value width], one token after the other:
// S ← e^decay S;  S ← S + k ⊗ beta (v − Sᵀk);  y = Sᵀq = (Sᵀq before the sum) + (k·q) beta (v − Sᵀk).
// A workgroup keeps COLUMNS columns of one head's S in registers; LANES threads share a column. `memory` holds S before
// the step, [value head][KEY][value width].

@group(0) @binding(0) var<uniform> params: DeltaRuleParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> k: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read> decay: array<f32>;
@group(0) @binding(6) var<storage, read> beta: array<f32>;
@group(0) @binding(7) var<storage, read_write> memory: array<f32>;
@group(0) @binding(8) var<storage, read_write> y: array<f32>;

const WORKGROUP = COLUMNS * LANES;
const ROWS = (KEY + LANES - 1u) / LANES;  // of S that a thread keeps: lane, lane + LANES, …

var<workgroup> shared_sums: array<vec3<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let head = group.y;
  let lane = local / COLUMNS;
  let column = group.x * COLUMNS + local % COLUMNS;
  let inside = column < params.value;
  let key_column = select(head % params.key_heads, head / (params.value_heads / params.key_heads), NEIGHBOURS_SHARE) * KEY;
  let memory_at = head * KEY * params.value + column;

  var s: array<f32, ROWS>;
  for (var i = 0u; i < ROWS; i++) {
    let row = lane + i * LANES;
    s[i] = 0.0;
    if (state.position != 0u && inside && row < KEY) {
      s[i] = memory[memory_at + row * params.value];
    }
  }
  for (var t = 0u; t < state.rows; t++) {
    let q_at = params.q_base + t * params.q_stride + key_column;
    let k_at = params.k_base + t * params.k_stride + key_column;
    let shrink = exp(decay[params.decay_base + t * params.decay_stride + head]);
    var own = vec3<f32>();  // Sᵀk, Sᵀq, k·q
    for (var i = 0u; i < ROWS; i++) {
      let row = lane + i * LANES;
      if (row < KEY) {
        let key = k[k_at + row];
        let query = q[q_at + row];
        s[i] *= shrink;
        own += vec3<f32>(s[i] * key, s[i] * query, key * query);
      }
    }
    workgroupBarrier();
    shared_sums[local] = own;
    workgroupBarrier();
    var sums = vec3<f32>();
    for (var l = 0u; l < LANES; l++) {
      sums += shared_sums[l * COLUMNS + local % COLUMNS];
    }
    var value = 0.0;
    if (inside) {
      value = v[params.v_base + t * params.v_stride + head * params.value + column];
    }
    let change = beta[params.beta_base + t * params.beta_stride + head] * (value - sums.x);
    for (var i = 0u; i < ROWS; i++) {
      let row = lane + i * LANES;
      if (row < KEY) {
        s[i] += k[k_at + row] * change;
      }
    }
    let y_at = params.y_base + t * params.y_stride + head * params.value;
    if (lane == 0u && inside) {
      y[y_at + column] = sums.y + sums.z * change;
    }
    if (head + 1u == params.value_heads && group.x == 0u && local < params.padding) {
      y[y_at + params.value + local] = 0.0;
    }
  }
  for (var i = 0u; i < ROWS; i++) {
    let row = lane + i * LANES;
    if (inside && row < KEY) {
      memory[memory_at + row * params.value] = s[i];
    }
  }
}
