// Products with matrices of experts: y[t, s · rows + n] = Σ_k W[e, n, k] · x[t, k] + bias[e, n], where e is chosen[t, s], or s
// with nothing CHOSEN. A weight that is cut into parts has one dispatch for each, which leaves the slots alone whose
// matrix lies in another. The grid's z counts slots, token by token. Tile, teams and the
// reduction fragment are as in matvec.

@group(0) @binding(0) var<uniform> params: ExpertParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> weights4: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> weights1: array<u32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> chosen: array<f32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

const WORKGROUP = 2u * TILE;
const TEAMS = WORKGROUP / LANES;
const OUT_ROWS = TEAMS * ROWS;
const SUMS = ROWS;

var<workgroup> tile: array<Activations, TILE>;

// Each thread brings half a block of the activations from `source` on. Beyond a slot's columns weights are zero.
fn stage(source: u32, base: u32, local: u32) {
  let unit = 4u * base + 2u * local;
  var v: array<vec4<f32>, 4>;
  for (var i = 0u; i < 4u; i++) {
    if (unit + i / 2u < params.row_units) {
      v[i] = x[source + 2u * unit + i];
    }
  }
  keep(local / 2u, local % 2u, v);
}

// group: its number among those of a slot, and which slot.
fn matvec(group: vec2<u32>, local: u32) {
  let token = group.y / params.slots;
  let slot = group.y % params.slots;
  var expert = slot;
  if (CHOSEN) {
    expert = u32(chosen[params.chosen_base + token * params.chosen_stride + slot]);
  }
  let matrix = expert - params.first_matrix;  // within the part
  if (state.finished != 0u || matrix >= params.matrices) {
    return;
  }
  let lane = local % LANES;
  let first_row = group.x * OUT_ROWS;

  let row_steps = params.row_units * STEP / 4u;
  var begin_of_row: array<u32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    let row = min(first_row + local / LANES * ROWS + r, params.rows - 1u);
    begin_of_row[r] = (matrix * params.rows + row) * row_steps;
  }
  prepare(local);
  var sums: array<f32, SUMS>;
  for (var base = 0u; 4u * base < params.row_units; base += TILE) {
    workgroupBarrier();
    stage(params.x_base + token * params.x_stride + slot * params.x_slot, base, local);
    workgroupBarrier();
    for (var b = lane; b < TILE && 4u * (base + b) < params.row_units; b += LANES) {
      let v = tile[b];
      for (var r = 0u; r < ROWS; r++) {
        sums[r] += product(load_block(begin_of_row[r], STEP * (base + b)), v);
      }
    }
  }

  share(&sums, local, lane);
  let row = first_row + local;
  let last = slot + 1u == params.slots;
  if (local >= OUT_ROWS || row >= params.rows + select(0u, params.padding, last)) {
    return;
  }
  let weight_row = matrix * params.rows + min(row, params.rows - 1u);
  var value = weight_scale(weight_row) * total(local % ROWS, local / ROWS);
  if (BIAS) {
    value += bias[expert * params.rows + min(row, params.rows - 1u)];
  }
  let at = params.y_base + token * params.y_stride + slot * params.rows + row;
  y[at] = select(0.0, value, row < params.rows);
}
