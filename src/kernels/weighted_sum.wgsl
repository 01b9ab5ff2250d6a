// y = Σ_s weights[s] · columns [s · width, (s + 1) · width) of x

@group(0) @binding(0) var<uniform> params: WeightedSumParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (state.finished != 0u || id.x >= params.padded_width) {
    return;
  }
  var sum = 0.0;
  if (id.x < params.width) {
    let x_at = params.x_base + id.y * params.x_stride + id.x;
    let weights_at = params.weights_base + id.y * params.weights_stride;
    for (var s = 0u; s < params.parts; s++) {
      sum += weights[weights_at + s] * x[x_at + s * params.width];
    }
  }
  y[params.y_base + id.y * params.y_stride + id.x] = sum;
}
