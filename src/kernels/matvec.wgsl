// One row of activations times a weight: y[n] = epilogue(scale · Σ_k W[n, k] · norm[k] · x[k] + bias[n]),
// scale = 1/√(mean(x²) + eps) when NORM: the norm costs no pass of its own.
// A team of LANES threads runs along k and shares ROWS output rows. A reduction fragment has the entry point and adds up
// what the lanes found: share(), a barrier inside, then total().

@group(0) @binding(0) var<uniform> params: MatMulParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> weights4: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> weights1: array<u32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

const TEAMS = WORKGROUP / LANES;
const WEIGHT_ROWS = select(ROWS, 2u * ROWS, SWIGLU);
const SUMS = select(WEIGHT_ROWS, WEIGHT_ROWS + 1u, NORM);

fn matvec(group: vec3<u32>, local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let lane = local % LANES;
  let team = local / LANES;
  let first = ((group.y * params.grid_x + group.x) * TEAMS + team) * ROWS;

  var unit_of_row: array<u32, WEIGHT_ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    let row = min(first + r, params.rows - 1u);
    unit_of_row[r] = row * params.row_units;
    if (SWIGLU) {
      unit_of_row[WEIGHT_ROWS - ROWS + r] = (params.rows + row) * params.row_units;
    }
  }

  var sums: array<f32, SUMS>;
  for (var u = lane; u < params.row_units; u += LANES) {
    var v = Eight(x[params.x_base + 2u * u], x[params.x_base + 2u * u + 1u]);
    if (NORM) {
      sums[SUMS - 1u] += dot(v.lo, v.lo) + dot(v.hi, v.hi);
      v = Eight(v.lo * norm[2u * u], v.hi * norm[2u * u + 1u]);
    }
    for (var r = 0u; r < WEIGHT_ROWS; r++) {
      sums[r] += dot8(unit_of_row[r] + u, v);
    }
  }

  share(&sums, local, lane);
  if (lane >= ROWS || first + lane >= params.padded_rows) {
    return;
  }
  var scale = 1.0;
  if (NORM) {
    scale = inverseSqrt(total(SUMS - 1u, team) / params.width + params.eps);
  }
  let row = first + lane;
  var value = scale * total(lane, team);
  if (BIAS) {
    value += bias[params.bias_base + min(row, params.rows - 1u)];
  }
  if (SWIGLU) {
    value = silu(value) * scale * total(ROWS + lane, team);
  }
  let at = params.y_base + row;
  if (ADD) {
    value += y[at];
  }
  if (GATE) {
    value *= silu(y[at]);
  }
  y[at] = select(0.0, value, row < params.rows);
}
