// Second step of sampling: collects the tokens that can survive the filters, each workgroup from its TILE logits.
// A token is taken when its logit is within `reach` of the largest. Nothing that can survive is left out:
// - top-k: the maxima of at least k blocks are within reach, so at least k logits are, and with them the k largest;
// - tokens of probability below (1 − p) / 2 / vocabulary together weigh less than half of 1 − p; where the other half is
//   more than what rounding weights down can lose, 2⁻³⁰ a token, none of them is in the nucleus;
// - min-p is itself such a distance. With top-k on, though, top-p counts all that top-k kept.

@group(0) @binding(0) var<uniform> params: SampleParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> blocks: array<Block>;
@group(0) @binding(4) var<storage, read_write> candidates: array<atomic<u32>>;

var<workgroup> counts: array<atomic<u32>, 17>;  // of each round of distance_of_blocks, and of collect
var<workgroup> place: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  if (local < 17u) {
    atomicStore(&counts[local], 0u);
  }
  var largest = LOWEST;
  for (var b = local; b < params.blocks; b += WORKGROUP) {
    largest = max(largest, blocks[b].largest);
  }
  largest = largest_of_all(local, largest);

  var mass = 0.0;
  for (var b = local; b < params.blocks; b += WORKGROUP) {
    mass += blocks[b].mass * exp((blocks[b].largest - largest) * params.inverse_temperature);
  }
  mass = sum_of_all(local, mass);

  // The bounds are a little wider than they need to be, for the rounding of exp and log.
  let scale = 1.0 / params.inverse_temperature;
  var reach = HIGHEST;
  if (params.top_k > 0u) {
    reach = distance_of_blocks(local, largest);
  }
  let half_rest = 0.5 * (1.0 - params.top_p);
  if (params.top_k == 0u && half_rest * 1073741824.0 > f32(params.vocab)) {
    reach = min(reach, scale * (0.01 - log(half_rest * mass / f32(params.vocab))));
  }
  if (params.top_k == 0u || params.top_p >= 1.0) {
    reach = min(reach, scale * (0.01 - params.log_min_p));
  }
  collect(group.x * TILE, local, largest, reach);
}

// The distance from the largest logit within which the maxima of top_k blocks lie, rounded up to 16 bits of the float.
// Floats that are not negative are in the order of their bits; the bits are found from the highest down.
fn distance_of_blocks(local: u32, largest: f32) -> f32 {
  var bits = 0u;
  for (var round = 0u; round < 16u; round++) {
    let next = bits | (1u << (30u - round));
    var below = 0u;
    for (var b = local; b < params.blocks; b += WORKGROUP) {
      below += select(0u, 1u, bitcast<u32>(largest - blocks[b].largest) < next);
    }
    atomicAdd(&counts[round], below);
    workgroupBarrier();
    if (atomicLoad(&counts[round]) < params.top_k) {
      bits = next;
    }
  }
  // Fewer than top_k blocks are nearer than `bits`, enough are nearer than the next number of 16 bits: all bits are set
  // when there are fewer than top_k blocks.
  return select(HIGHEST, bitcast<f32>(bits | 0x7fffu), bits < 0x7f000000u);
}

// One global addition a workgroup: each thread gets a place within its workgroup's part of the list.
fn collect(first: u32, local: u32, largest: f32, reach: f32) {
  let end = min(first + TILE, params.vocab);
  var kept = 0u;
  for (var i = first + local; i < end; i += WORKGROUP) {
    kept += select(0u, 1u, within(logits[i], largest, reach));
  }
  let own = atomicAdd(&counts[16], kept);
  workgroupBarrier();
  if (local == 0u) {
    place = atomicAdd(&candidates[0], atomicLoad(&counts[16]));
  }
  workgroupBarrier();
  var at = 1u + place + own;
  for (var i = first + local; i < end; i += WORKGROUP) {
    if (within(logits[i], largest, reach)) {
      atomicStore(&candidates[at], i);
      at += 1u;
    }
  }
}

fn within(value: f32, largest: f32, reach: f32) -> bool {
  let logit = sane(value);
  return logit > LOWEST && min(largest - logit, HIGHEST) <= reach;
}
