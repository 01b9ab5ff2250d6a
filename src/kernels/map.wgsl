// y = function(a, b), column by column: apply() holds the function. Each number of b serves b_repeat columns of a.

@group(0) @binding(0) var<uniform> params: MapParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// One of b that serves all columns.
fn number(i: u32) -> f32 {
  return b[params.b_base + i];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (state.finished != 0u || id.x >= params.padded_width) {
    return;
  }
  var value = 0.0;
  if (id.x < params.width) {
    var second = 0.0;
    if (TAKES_TWO) {
      second = b[params.b_base + id.y * params.b_stride + id.x / params.b_repeat];
    }
    value = apply(a[params.a_base + id.y * params.a_stride + id.x], second);
  }
  y[params.y_base + id.y * params.y_stride + id.x] = value;
}
