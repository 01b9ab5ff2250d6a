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

var<private> first_n: u32;
var<private> x_row: u32;  // where this thread's own row begins
var<private> w_row: u32;  // of the weight: this thread's first
var<private> last_row: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  var expert = group.z;
  var first = group.y * TILE_T;
  var count = min(TILE_T, state.rows - first);
  if (CHOSEN) {
    if (group.y >= groups[0]) {
      return;
    }
    expert = groups[1u + 3u * group.y];
    first = groups[2u + 3u * group.y];
    count = groups[3u + 3u * group.y];
  }
  let matrix = expert - params.first_matrix;  // within the part
  if (matrix >= params.matrices) {
    return;
  }
  first_n = group.x * TILE_N;
  w_row = matrix * params.rows + first_n + local / UNITS;
  last_row = matrix * params.rows + params.rows - 1u;
  let place = place_in(expert, first + min(local / UNITS, count - 1u));
  x_row = params.x_base + (place / params.slots) * params.x_stride + (place % params.slots) * params.x_slot;

  var sums: array<vec4<f32>, 16>;
  tile_sums(&sums, local, params.row_units, count);
  for (var t = 0u; t < 8u; t++) {
    let row = local / THREADS_N + t * THREADS_T;
    if (row < count) {
      store(place_in(expert, first + row), expert, local % THREADS_N, sums[2u * t], sums[2u * t + 1u]);
    }
  }
}

// Token · slots + slot of a row.
fn place_in(expert: u32, row: u32) -> u32 {
  if (CHOSEN) {
    return groups[params.order_base + row];
  }
  return row * params.slots + expert;
}

fn x_unit(unit: u32) -> Eight {
  return Eight(x[x_row + 2u * unit], x[x_row + 2u * unit + 1u]);  // beyond a slot's columns weights are zero
}

fn w_unit(i: u32, unit: u32) -> Eight {
  return load8(min(w_row + i * W_STEP, last_row) * params.row_units + unit);
}

fn store(place: u32, expert: u32, tn: u32, a: vec4<f32>, b: vec4<f32>) {
  for (var i = 0u; i < 4u; i++) {
    store_one(place, expert, first_n + tn + i * THREADS_N, a[i]);
    store_one(place, expert, first_n + tn + i * THREADS_N + TILE_N / 2u, b[i]);
  }
}

fn store_one(place: u32, expert: u32, n: u32, product: f32) {
  let slot = place % params.slots;
  if (n >= params.rows + select(0u, params.padding, slot + 1u == params.slots)) {
    return;
  }
  var value = product;
  if (BIAS) {
    value += bias[expert * params.rows + min(n, params.rows - 1u)];
  }
  y[params.y_base + (place / params.slots) * params.y_stride + slot * params.rows + n] = select(0.0, value, n < params.rows);
}
