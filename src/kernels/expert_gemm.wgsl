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

var<workgroup> places: array<u32, TILE_T>;  // of the tile's rows: token · slots + slot
var<private> first_n: u32;
var<private> first_row: u32;  // of the matrix, in the part
var<private> count: u32;      // rows of x in the tile

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  var expert = group.z;
  var first = group.y * TILE_T;
  if (CHOSEN) {
    if (group.y >= groups[0]) {
      return;
    }
    expert = groups[1u + 3u * group.y];
    first = groups[2u + 3u * group.y];
    count = groups[3u + 3u * group.y];
  } else {
    count = min(TILE_T, state.rows - first);
  }
  let matrix = expert - params.first_matrix;  // within the part
  if (matrix >= params.matrices) {
    return;
  }
  first_n = group.x * TILE_N;
  first_row = matrix * params.rows;
  if (local < count) {
    if (CHOSEN) {
      places[local] = groups[params.order_base + first + local];
    } else {
      places[local] = (first + local) * params.slots + expert;
    }
  }
  workgroupBarrier();

  var sums: array<vec4<f32>, 4>;
  tile_sums(&sums, local, params.row_units, count);
  for (var t = 0u; t < 4u; t++) {
    let row = local / THREADS_N + t * (TILE_T / 4u);
    if (row < count) {
      store(places[row], expert, local % THREADS_N, sums[t]);
    }
  }
}

fn x_unit(row: u32, unit: u32, slot: u32) -> Eight {
  if (row >= count) {
    return Eight();
  }
  let place = places[row];
  let at = params.x_base + (place / params.slots) * params.x_stride + (place % params.slots) * params.x_slot + 2u * unit;
  return Eight(x[at], x[at + 1u]);  // beyond a slot's columns weights are zero
}

fn w_unit(row: u32, unit: u32) -> Eight {
  if (first_n + row >= params.rows) {
    return Eight();
  }
  return load8((first_row + first_n + row) * params.row_units + unit);
}

fn store(place: u32, expert: u32, tn: u32, sums: vec4<f32>) {
  let slot = place % params.slots;
  let columns = params.rows + select(0u, params.padding, slot + 1u == params.slots);
  let at = params.y_base + (place / params.slots) * params.y_stride + slot * params.rows;
  for (var i = 0u; i < 4u; i++) {
    let n = first_n + tn + i * THREADS_N;
    if (n < columns) {
      var value = sums[i];
      if (BIAS) {
        value += bias[expert * params.rows + min(n, params.rows - 1u)];
      }
      y[at + n] = select(0.0, value, n < params.rows);
    }
  }
}
