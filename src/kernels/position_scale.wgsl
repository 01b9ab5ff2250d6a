// y = x · (1 + scale · ln(1 + floor(position / interval)))

@group(0) @binding(0) var<uniform> params: PositionScaleParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (state.finished != 0u || id.x >= params.padded_width) {
    return;
  }
  var value = 0.0;
  if (id.x < params.width) {
    let intervals = (state.position + id.y) / params.interval;
    value = x[params.x_base + id.y * params.x_stride + id.x] * (1.0 + params.scale * log(1.0 + f32(intervals)));
  }
  y[params.y_base + id.y * params.y_stride + id.x] = value;
}
