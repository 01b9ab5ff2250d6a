// Norm of each group of columns: y = scale · x₀ / √(mean(x₀²) + eps) · weight + bias, plus the residual with ADD; x₀ is x, or
// x − mean(x) with LAYER. One workgroup a group and token.

@group(0) @binding(0) var<uniform> params: NormParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let width = params.group;
  let column = group.x * width;
  let first = params.x_base + group.y * params.x_stride + column;

  var mean = 0.0;
  if (LAYER) {
    var sum = 0.0;
    for (var i = local; i < width; i += WORKGROUP) {
      sum += x[first + i];
    }
    mean = workgroup_sum(local, sum) / f32(width);
  }
  var squares = 0.0;
  for (var i = local; i < width; i += WORKGROUP) {
    let v = x[first + i] - mean;
    squares += v * v;
  }
  let scale = params.scale * inverseSqrt(workgroup_sum(local, squares) / f32(width) + params.eps);

  let at = params.y_base + group.y * params.y_stride + column;
  for (var i = local; i < width; i += WORKGROUP) {
    var value = scale * (x[first + i] - mean);
    if (WEIGHT) {
      value *= weight[group.x * params.weight_step + i];
    }
    if (BIAS) {
      value += bias[group.x * params.bias_step + i];
    }
    if (ADD) {
      value += residual[params.residual_base + group.y * params.residual_stride + column + i];
    }
    y[at + i] = value;
  }
  if (group.x + 1u == groups.x && local < params.padding) {
    y[at + width + local] = 0.0;
  }
}
