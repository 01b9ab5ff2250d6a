// Causal convolution of each column over tokens: y[t, c] = bias[c] + Σ_j weight[c, j] x[t − KERNEL + 1 + j, c]. One thread a
// column. `memory` holds the last KERNEL − 1 rows of x before the step, oldest first.

@group(0) @binding(0) var<uniform> params: Conv1dParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> memory: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let column = id.x;
  if (state.finished != 0u || column >= params.padded_width) {
    return;
  }
  if (column >= params.width) {
    for (var t = 0u; t < state.rows; t++) {
      y[params.y_base + t * params.y_stride + column] = 0.0;
    }
    return;
  }
  var weights: array<f32, KERNEL>;
  var rows: array<f32, KERNEL>;
  for (var j = 0u; j < KERNEL; j++) {
    weights[j] = weight[column * KERNEL + j];
    rows[j] = 0.0;
    if (state.position != 0u && j + 1u < KERNEL) {
      rows[j] = memory[j * params.width + column];
    }
  }
  var offset = 0.0;
  if (BIAS) {
    offset = bias[column];
  }
  for (var t = 0u; t < state.rows; t++) {
    rows[KERNEL - 1u] = x[params.x_base + t * params.x_stride + column];
    var sum = offset;
    for (var j = 0u; j < KERNEL; j++) {
      sum += weights[j] * rows[j];
    }
    y[params.y_base + t * params.y_stride + column] = sum;
    for (var j = 1u; j < KERNEL; j++) {
      rows[j - 1u] = rows[j];
    }
  }
  for (var j = 0u; j + 1u < KERNEL; j++) {
    memory[j * params.width + column] = rows[j];
  }
}
