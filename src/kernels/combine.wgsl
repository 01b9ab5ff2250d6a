// Joins the splits of decode attention: out = Σ_s e^(max_s − max) sums_s / Σ_s e^(max_s − max) total_s, one workgroup a head.

@group(0) @binding(0) var<uniform> params: AttentionParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> partial: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

const FOURS = VALUE / 4u;

@compute @workgroup_size(FOURS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let base = group.x * SPLITS * (FOURS + 1u);
  var maximum = partial[base + FOURS].x;
  for (var s = 1u; s < SPLITS; s++) {
    maximum = max(maximum, partial[base + s * (FOURS + 1u) + FOURS].x);
  }
  var sum = vec4<f32>();
  var total = 0.0;
  for (var s = 0u; s < SPLITS; s++) {
    let at = base + s * (FOURS + 1u);
    let weight = exp(partial[at + FOURS].x - maximum);
    sum += weight * partial[at + local];
    total += weight * partial[at + FOURS].y;
  }
  let at = params.out_base + group.x * FOURS + local;
  y[at] = sum / total;
  if (PADDED && group.x + 1u == params.heads && local == FOURS - 1u) {
    for (var i = 1u; i <= params.padding; i++) {
      y[at + i] = vec4<f32>();
    }
  }
}
