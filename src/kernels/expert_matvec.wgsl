// Products with matrices of experts: y[t, s · rows + n] = Σ_k W[e, n, k] · x[t, k] + bias[e, n], where e is chosen[t, s], or s
// with nothing CHOSEN. A weight that is cut into parts has one dispatch for each, which leaves the slots alone whose
// matrix lies in another. The grid's z counts slots, token by token. A team of LANES threads splits the sum over k and
// computes ROWS output rows; the entry point is in a reduction fragment, as for matvec.

@group(0) @binding(0) var<uniform> params: ExpertParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> weights4: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> weights1: array<u32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> chosen: array<f32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

const TEAMS = WORKGROUP / LANES;
const SUMS = ROWS;

fn matvec(group: vec3<u32>, local: u32) {
  let token = group.z / params.slots;
  let slot = group.z % params.slots;
  var expert = slot;
  if (CHOSEN) {
    expert = u32(chosen[params.chosen_base + token * params.chosen_stride + slot]);
  }
  let matrix = expert - params.first_matrix;  // within the part
  if (state.finished != 0u || matrix >= params.matrices) {
    return;
  }
  let lane = local % LANES;
  let team = local / LANES;
  let first = ((group.y * params.grid_x + group.x) * TEAMS + team) * ROWS;

  var unit_of_row: array<u32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    unit_of_row[r] = (matrix * params.rows + min(first + r, params.rows - 1u)) * params.row_units;
  }
  let x_at = params.x_base + token * params.x_stride + slot * params.x_slot;
  var sums: array<f32, SUMS>;
  for (var u = lane; u < params.row_units; u += LANES) {
    let v = Eight(x[x_at + 2u * u], x[x_at + 2u * u + 1u]);  // beyond a slot's columns weights are zero
    for (var r = 0u; r < ROWS; r++) {
      let w = load8(unit_of_row[r] + u);
      sums[r] += dot(w.lo, v.lo) + dot(w.hi, v.hi);
    }
  }

  share(&sums, local, lane);
  let row = first + lane % ROWS;
  let last = slot + 1u == params.slots;
  if (lane >= ROWS || row >= params.rows + select(0u, params.padding, last)) {
    return;
  }
  var value = total(lane % ROWS, team);
  if (BIAS) {
    value += bias[expert * params.rows + min(row, params.rows - 1u)];
  }
  let at = params.y_base + token * params.y_stride + slot * params.rows + row;
  y[at] = select(0.0, value, row < params.rows);
}
