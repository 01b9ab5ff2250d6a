// y = max(0, x − mean(x) − deviations · √(mean((x − mean(x))²))), one workgroup a token.

@group(0) @binding(0) var<uniform> params: KeepLargestParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let first = params.x_base + group.y * params.x_stride;
  var sum = 0.0;
  for (var i = local; i < params.width; i += WORKGROUP) {
    sum += x[first + i];
  }
  let mean = workgroup_sum(local, sum) / f32(params.width);
  var squares = 0.0;
  for (var i = local; i < params.width; i += WORKGROUP) {
    let v = x[first + i] - mean;
    squares += v * v;
  }
  let least = mean + params.deviations * sqrt(workgroup_sum(local, squares) / f32(params.width));
  let at = params.y_base + group.y * params.y_stride;
  for (var i = local; i < params.padded_width; i += WORKGROUP) {
    var value = 0.0;
    if (i < params.width) {
      let above = x[first + i] - least;
      value = select(above, 0.0, above <= 0.0);  // NaN stays
    }
    y[at + i] = value;
  }
}
