// Second step of sampling: collects the tokens that can survive the filters. Nothing that can survive is left out:
// - at least k blocks have a logit as large as the k-th largest of the blocks' maxima, so no smaller one is in the top k;
// - tokens of probability below (1 − p) / 2 / vocabulary together weigh less than half of 1 − p; where the other half is
//   more than what rounding weights down can lose, 2⁻³⁰ a token, none of them is in the nucleus.

@group(0) @binding(0) var<uniform> params: SampleParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> blocks: array<Block>;
@group(0) @binding(4) var<storage, read_write> candidates: array<atomic<u32>>;

var<workgroup> values: array<f32, WORKGROUP>;
var<workgroup> kth: f32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let count = params.blocks;
  var largest = LOWEST;
  for (var b = local; b < count; b += WORKGROUP) {
    largest = max(largest, blocks[b].largest);
  }
  values[local] = largest;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (local < half) {
      values[local] = max(values[local], values[local + half]);
    }
  }
  workgroupBarrier();
  largest = values[0];
  workgroupBarrier();

  var mass = 0.0;
  for (var b = local; b < count; b += WORKGROUP) {
    mass += blocks[b].mass * exp((blocks[b].largest - largest) * params.inverse_temperature);
  }
  values[local] = mass;
  if (local == 0u) {
    kth = LOWEST;
  }
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (local < half) {
      values[local] += values[local + half];
    }
  }
  workgroupBarrier();
  mass = values[0];

  if (params.top_k > 0u) {
    for (var b = local; b < count; b += WORKGROUP) {
      let mine = blocks[b].largest;
      var above = 0u;
      for (var other = 0u; other < count; other++) {
        let theirs = blocks[other].largest;
        above += select(0u, 1u, theirs > mine || (theirs == mine && other < b));
      }
      if (above == params.top_k - 1u) {
        kth = mine;
      }
    }
  }
  workgroupBarrier();

  var cut = kth;
  let scale = 1.0 / params.inverse_temperature;
  let half_rest = 0.5 * (1.0 - params.top_p);
  if (params.top_k == 0u && half_rest * 1073741824.0 > f32(params.vocab)) {
    // A little lower than the bound, for the rounding of exp and log.
    cut = largest + scale * (log(half_rest * mass / f32(params.vocab)) - 0.01);
  }
  if (params.top_p >= 1.0) {
    cut = max(cut, largest + scale * (params.log_min_p - 0.01));
  }
  let end = min((group.x + 1u) * BLOCK, params.vocab);
  for (var i = group.x * BLOCK + local; i < end; i += WORKGROUP) {
    let logit = sane(logits[i]);
    if (logit >= cut && logit > LOWEST) {
      atomicStore(&candidates[1u + atomicAdd(&candidates[0], 1u)], i);
    }
  }
}
