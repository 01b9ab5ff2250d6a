// First step of sampling: each workgroup sums up BLOCK logits.

@group(0) @binding(0) var<uniform> params: SampleParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read_write> blocks: array<Block>;
@group(0) @binding(4) var<storage, read_write> candidates: array<u32>;  // how many, then tokens

var<workgroup> values: array<f32, WORKGROUP>;
var<workgroup> tokens: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let first = group.x * BLOCK;
  let end = min(first + BLOCK, params.vocab);
  var largest = LOWEST;
  var token = min(first + local, end - 1u);
  for (var i = first + local; i < end; i += WORKGROUP) {
    let v = sane(logits[i]);
    if (v > largest) {
      largest = v;
      token = i;
    }
  }
  values[local] = largest;
  tokens[local] = token;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (local < half) {
      let v = values[local + half];
      let t = tokens[local + half];
      if (v > values[local] || (v == values[local] && t < tokens[local])) {
        values[local] = v;
        tokens[local] = t;
      }
    }
  }
  workgroupBarrier();
  largest = values[0];
  workgroupBarrier();

  var mass = 0.0;
  for (var i = first + local; i < end; i += WORKGROUP) {
    mass += exp((sane(logits[i]) - largest) * params.inverse_temperature);
  }
  values[local] = mass;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (local < half) {
      values[local] += values[local + half];
    }
  }
  if (local == 0u) {
    blocks[group.x] = Block(largest, tokens[0], values[0]);
    if (group.x == 0u) {
      candidates[0] = 0u;
    }
  }
}
