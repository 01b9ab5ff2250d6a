// Up to TOKENS rows of activations (one in decode) times a weight, which is read once:
// y[t, n] = epilogue(scale[t] · Σ_k W[n, k] · norm[k] · x[t, k] + bias[n]), scale[t] = 1/√(mean(x[t]²) + eps) when NORM, else
// 1. A team of LANES threads splits the sum over k and computes ROWS output rows. The entry point is in a reduction
// fragment, which adds up the sums of the lanes: share() stores them, with a barrier at its end, and total() reads a sum.

@group(0) @binding(0) var<uniform> params: MatMulParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> weights4: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> weights1: array<u32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

const TEAMS = WORKGROUP / LANES;
const WEIGHT_ROWS = select(ROWS, 2u * ROWS, GATED);
const SQUARES = TOKENS * WEIGHT_ROWS;  // sums are [token][weight row]; from here on those of x² of each token
const SUMS = select(SQUARES, SQUARES + TOKENS, NORM);

fn matvec(group: vec3<u32>, local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let lane = local % LANES;
  let team = local / LANES;
  let first = ((group.y * params.grid_x + group.x) * TEAMS + team) * ROWS;
  let first_token = group.z * TOKENS;

  var unit_of_row: array<u32, WEIGHT_ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    let row = min(first + r, params.rows - 1u);
    unit_of_row[r] = row * params.row_units;
    if (GATED) {
      unit_of_row[WEIGHT_ROWS - ROWS + r] = (params.rows + row) * params.row_units;
    }
  }
  var x_of_token: array<u32, TOKENS>;
  for (var t = 0u; t < TOKENS; t++) {
    x_of_token[t] = params.x_base + min(first_token + t, max(state.rows, 1u) - 1u) * params.x_stride;
  }

  var sums: array<f32, SUMS>;
  for (var u = lane; u < params.row_units; u += LANES) {
    var v: array<Eight, TOKENS>;
    for (var t = 0u; t < TOKENS; t++) {
      v[t] = Eight(x[x_of_token[t] + 2u * u], x[x_of_token[t] + 2u * u + 1u]);
      if (NORM) {
        sums[min(SQUARES + t, SUMS - 1u)] += dot(v[t].lo, v[t].lo) + dot(v[t].hi, v[t].hi);
        v[t] = Eight(v[t].lo * norm[2u * u], v[t].hi * norm[2u * u + 1u]);
      }
    }
    for (var r = 0u; r < WEIGHT_ROWS; r++) {
      let w = load8(unit_of_row[r] + u);
      for (var t = 0u; t < TOKENS; t++) {
        sums[t * WEIGHT_ROWS + r] += dot(w.lo, v[t].lo) + dot(w.hi, v[t].hi);
      }
    }
  }

  share(&sums, local, lane);
  let token = lane / ROWS;
  let row = first + lane % ROWS;
  if (token >= TOKENS || first_token + token >= max(state.rows, 1u) || row >= params.padded_rows) {
    return;
  }
  var scale = 1.0;
  if (NORM) {
    scale = inverseSqrt(total(min(SQUARES + token, SUMS - 1u), team) / params.width + params.eps);
  }
  let sum = token * WEIGHT_ROWS + lane % ROWS;
  var value = scale * total(sum, team);
  if (BIAS) {
    value += bias[params.bias_base + min(row, params.rows - 1u)];
  }
  if (GATED) {
    value = apply(value, scale * total(sum + ROWS, team));
  }
  let at = params.y_base + (first_token + token) * params.y_stride + row;
  if (ADD) {
    value += y[at];
  }
  if (GATE) {
    value = apply(y[at], value);
  }
  y[at] = select(0.0, value, row < params.rows);
}
