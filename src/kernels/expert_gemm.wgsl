// The same products as expert_matvec, for many tokens: a workgroup makes a tile (see gemm_tile) of slots that share a matrix, so
// that each is read once for all of them. When CHOSEN, the tiles are those that group_experts has made (the grid's y is as
// many as there may be; those behind the last do nothing); else the grid's y counts tiles of tokens and z the slots.

@group(0) @binding(0) var<uniform> params: ExpertParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> weights4: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> weights1: array<u32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> groups: array<u32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

const OUT_N = TILE_N;

var<private> first_n: u32;
var<private> first_t: u32;  // of the tokens, or of the order of slots
var<private> expert: u32;
var<private> x_begins: vec2<u32>;  // of this thread's own rows
var<private> w_row: u32;  // of the weight: this thread's first
var<private> last_row: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  // Of variables that are not private WGSL knows that they are the same in all threads, as before a barrier they have to be.
  var own_expert = group.z;
  var own_t = group.y * TILE_T;
  var count = min(TILE_T, state.rows - own_t);
  if (CHOSEN) {
    if (group.y >= groups[0]) {
      return;
    }
    own_expert = groups[1u + 3u * group.y];
    own_t = groups[2u + 3u * group.y];
    count = groups[3u + 3u * group.y];
  }
  let matrix = own_expert - params.first_matrix;  // within the part
  if (matrix >= params.matrices) {
    return;
  }
  expert = own_expert;
  first_t = own_t;
  first_n = group.x * TILE_N;
  w_row = matrix * params.rows + first_n + local / W_LANES;
  last_row = matrix * params.rows + params.rows - 1u;
  for (var i = 0u; i < X_ROWS; i++) {
    let place = place_of_row(min(x_tile_row(local, i), count - 1u));
    x_begins[i] = params.x_base + (place / params.slots) * params.x_stride + (place % params.slots) * params.x_slot;
  }

  var sums: Sums;
  tile_sums(&sums, local, params.row_units, count);
  store_sums(&sums, local, count);
}

// Token · slots + slot of a row of the tile.
fn place_of_row(row: u32) -> u32 {
  if (CHOSEN) {
    return groups[params.order_base + first_t + row];
  }
  return (first_t + row) * params.slots + expert;
}

fn x_unit(i: u32, unit: u32) -> Eight {
  let at = x_begins[i] + 2u * unit;
  return Eight(x[at], x[at + 1u]);  // beyond a slot's columns weights are zero
}

fn w_begin(i: u32) -> u32 {
  return min(w_row + i * W_STEP, last_row) * params.row_units;
}

fn store(row: u32, column: u32, sum: u32) {
  let place = place_of_row(row);
  let slot = place % params.slots;
  let n = first_n + column;
  if (n >= params.rows + select(0u, params.padding, slot + 1u == params.slots)) {
    return;
  }
  var value = sum_at(sum, column);
  if (BIAS) {
    value += bias[expert * params.rows + min(n, params.rows - 1u)];
  }
  y[params.y_base + (place / params.slots) * params.y_stride + slot * params.rows + n] = select(0.0, value, n < params.rows);
}
