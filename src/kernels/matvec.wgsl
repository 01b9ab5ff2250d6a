// Up to TOKENS rows of activations (one in decode) times a weight, which is read once:
// y[t, n] = epilogue(scale[t] · Σ_k W[n, k] · norm[k] · x[t, k] + bias[n]), scale[t] = 1/√(mean(x[t]²) + eps) when NORM, else
// 1. A workgroup keeps norm · x in its memory, TILE blocks of 32 of each token at a time, a thread bringing half of one.
// A team of LANES threads splits the sum over k and computes ROWS output rows. The entry point is in a reduction fragment,
// which adds up the sums of the lanes: share() stores them, with a barrier at its end, and total() reads a sum.

const WORKGROUP = 2u * TILE * TOKENS;
const TEAMS = WORKGROUP / LANES;
const OUT_ROWS = TEAMS * ROWS;
const WEIGHT_ROWS = select(ROWS, 2u * ROWS, GATED);
const SUMS = TOKENS * WEIGHT_ROWS;  // [token][weight row]

var<workgroup> tile: array<Activations, TILE * TOKENS>;  // [token][block]
var<workgroup> squares: array<vec4<f32>, WORKGROUP / 4u>;  // [token][half block], four in a vector: of x

// Thread h of a token's 2 TILE brings half h % 2 of block base + h / 2 into the tile. Returns Σ x².
fn stage(first_token: u32, base: u32, local: u32) -> f32 {
  let unit = 4u * base + local % (2u * TILE) * 2u;
  let token = min(first_token + local / (2u * TILE), max(state.rows, 1u) - 1u);
  let source = params.x_base + token * params.x_stride + 2u * unit;
  var square = 0.0;
  var v: array<vec4<f32>, 4>;
  if (unit < params.row_units) {
    v[0] = x[source];
    v[1] = x[source + 1u];
  }
  if (unit + 1u < params.row_units) {
    v[2] = x[source + 2u];
    v[3] = x[source + 3u];
  }
  if (NORM) {
    square = dot(v[0], v[0]) + dot(v[1], v[1]) + dot(v[2], v[2]) + dot(v[3], v[3]);
    v[0] *= norm[2u * unit];
    v[1] *= norm[2u * unit + 1u];
    v[2] *= norm[2u * unit + 2u];
    v[3] *= norm[2u * unit + 3u];
  }
  keep(local / 2u, local % 2u, v);
  return square;
}

// group: its number among those of as many tokens, and which those are.
fn matvec(group: vec2<u32>, local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let lane = local % LANES;
  let first_row = group.x * OUT_ROWS;
  let first_token = group.y * TOKENS;

  let row_steps = params.row_units * STEP / 4u;
  var begin_of_row: array<u32, WEIGHT_ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    let row = min(first_row + local / LANES * ROWS + r, params.rows - 1u);
    begin_of_row[r] = row * row_steps;
    if (GATED) {
      begin_of_row[WEIGHT_ROWS - ROWS + r] = (params.rows + row) * row_steps;
    }
  }

  prepare(local);
  var sums: array<f32, SUMS>;
  var square = 0.0;
  for (var base = 0u; 4u * base < params.row_units; base += TILE) {
    workgroupBarrier();
    square += stage(first_token, base, local);
    workgroupBarrier();
    let blocks = min(TILE, (params.row_units + 3u) / 4u - base);
    for (var b = lane; b < blocks; b += LANES) {
      if (TOKENS == 1u) {
        let v = tile[b];
        for (var r = 0u; r < WEIGHT_ROWS; r++) {
          sums[r] += product(load_block(begin_of_row[r], STEP * (base + b)), v);
        }
      } else {
        for (var r = 0u; r < WEIGHT_ROWS; r++) {
          let w = load_block(begin_of_row[r], STEP * (base + b));
          for (var t = 0u; t < TOKENS; t++) {
            sums[t * WEIGHT_ROWS + r] += product(w, tile[t * TILE + b]);
          }
        }
      }
    }
  }

  squares[local / 4u][local % 4u] = square;
  share(&sums, local, lane);
  if (OUT_ROWS * TOKENS > WORKGROUP) {
    for (var i = local; i < OUT_ROWS * TOKENS; i += WORKGROUP) {
      store(first_token, i / OUT_ROWS, first_row, i % OUT_ROWS);
    }
  } else if (local < OUT_ROWS * TOKENS) {
    store(first_token, local / OUT_ROWS, first_row, local % OUT_ROWS);
  }
}

fn store(first_token: u32, token: u32, first_row: u32, out: u32) {
  let row = first_row + out;
  if (first_token + token >= max(state.rows, 1u) || row >= params.padded_rows) {
    return;
  }
  var scale = 1.0;
  if (NORM) {
    var sums = vec4<f32>();
    for (var h = 0u; h < TILE / 2u; h++) {
      sums += squares[token * (TILE / 2u) + h];
    }
    scale = inverseSqrt(dot(sums, vec4<f32>(1.0)) / params.width + params.eps);
  }
  let last = params.rows - 1u;
  var value = scale * weight_scale(min(row, last)) * total(token * WEIGHT_ROWS + out % ROWS, out / ROWS);
  if (BIAS) {
    value += bias[params.bias_base + min(row, last)];
  }
  if (GATED) {
    let up = weight_scale(params.rows + min(row, last)) * total(token * WEIGHT_ROWS + ROWS + out % ROWS, out / ROWS);
    value = apply(value, scale * up);
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
