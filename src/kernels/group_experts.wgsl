// Sorts the slots of a step's tokens by the expert that each has chosen, for expert_gemm, and cuts each expert's into tiles of
// TILE_T. groups: the number of tiles; of each its expert, where its slots begin in the order, and how many they are; from
// order_base on the order, of token · slots + slot; from copy_base on, as f32, what each slot has chosen. One workgroup.
// Within an expert any order may come out: what is made of a slot does not depend on it.

@group(0) @binding(0) var<uniform> params: GroupParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> chosen: array<f32>;
@group(0) @binding(3) var<storage, read_write> groups: array<u32>;

const EACH = (EXPERTS + WORKGROUP - 1u) / WORKGROUP;  // experts of a thread

var<workgroup> counts: array<atomic<u32>, EXPERTS>;  // slots of each expert; then where its next one goes
var<workgroup> before: array<vec2<u32>, WORKGROUP>;  // slots and tiles of the threads up to each

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) local: u32) {
  let all = state.rows * params.slots;
  for (var e = local; e < EXPERTS; e += WORKGROUP) {
    atomicStore(&counts[e], 0u);
  }
  workgroupBarrier();
  for (var i = local; i < all; i += WORKGROUP) {
    let expert = expert_of(i);
    atomicAdd(&counts[expert], 1u);
    groups[params.copy_base + i] = bitcast<u32>(f32(expert));
  }
  workgroupBarrier();

  var own = vec2<u32>();
  for (var e = local * EACH; e < min((local + 1u) * EACH, EXPERTS); e++) {
    let count = atomicLoad(&counts[e]);
    own += vec2<u32>(count, tiles_of(count));
  }
  var at = sum_to(local, own) - own;
  if (local == WORKGROUP - 1u) {
    groups[0] = at.y + own.y;
  }
  for (var e = local * EACH; e < min((local + 1u) * EACH, EXPERTS); e++) {
    let count = atomicLoad(&counts[e]);
    for (var first = 0u; first < count; first += TILE_T) {
      let tile = 1u + 3u * (at.y + first / TILE_T);
      groups[tile] = e;
      groups[tile + 1u] = at.x + first;
      groups[tile + 2u] = min(TILE_T, count - first);
    }
    atomicStore(&counts[e], at.x);
    at += vec2<u32>(count, tiles_of(count));
  }
  workgroupBarrier();
  for (var i = local; i < all; i += WORKGROUP) {
    groups[params.order_base + atomicAdd(&counts[expert_of(i)], 1u)] = i;
  }
}

fn expert_of(i: u32) -> u32 {
  let at = params.chosen_base + (i / params.slots) * params.chosen_stride + i % params.slots;
  return min(u32(chosen[at]), EXPERTS - 1u);
}

fn tiles_of(count: u32) -> u32 {
  return (count + TILE_T - 1u) / TILE_T;
}

// The sum of `own` over the threads up to this one.
fn sum_to(local: u32, own: vec2<u32>) -> vec2<u32> {
  var sum = own;
  before[local] = sum;
  for (var step = 1u; step < WORKGROUP; step <<= 1u) {
    workgroupBarrier();
    var more = vec2<u32>();
    if (local >= step) {
      more = before[local - step];
    }
    workgroupBarrier();
    sum += more;
    before[local] = sum;
  }
  return sum;
}
