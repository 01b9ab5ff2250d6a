// First step of sampling: sums up each BLOCK logits. A team of LANES threads takes a block, a workgroup takes TILE logits.
// logit_at() reads them first, and where the run asks for it changes them.

@group(0) @binding(0) var<uniform> params: SampleParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(3) var<storage, read_write> blocks: array<Block>;
@group(0) @binding(4) var<storage, read_write> candidates: array<u32>;  // how many, then tokens

const LANES = WORKGROUP * BLOCK / TILE;

var<workgroup> values: array<f32, WORKGROUP>;
var<workgroup> tokens: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let lane = local % LANES;
  let block = group.x * (TILE / BLOCK) + local / LANES;
  let first = block * BLOCK + lane;
  let end = min((block + 1u) * BLOCK, params.vocab);
  var largest = LOWEST;
  var token = first;
  for (var i = first; i < end; i += LANES) {
    let v = logit_at(i);
    if (v > largest) {
      largest = v;
      token = i;
    }
  }
  values[local] = largest;
  tokens[local] = token;
  for (var half = LANES / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (lane < half) {
      let v = values[local + half];
      let t = tokens[local + half];
      if (v > values[local] || (v == values[local] && t < tokens[local])) {
        values[local] = v;
        tokens[local] = t;
      }
    }
  }
  workgroupBarrier();
  largest = values[local - lane];
  workgroupBarrier();

  var mass = 0.0;
  for (var i = first; i < end; i += LANES) {
    mass += exp((sane(logits[i]) - largest) * params.inverse_temperature);
  }
  values[local] = mass;
  for (var half = LANES / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (lane < half) {
      values[local] += values[local + half];
    }
  }
  if (lane == 0u && block < params.blocks) {
    blocks[block] = Block(largest, tokens[local], values[local]);
  }
  if (group.x == 0u && local == 0u) {
    candidates[0] = 0u;
  }
}
