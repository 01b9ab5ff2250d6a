// Rotates columns [first, first + ROTATED) of each head of x by the token's position.

@group(0) @binding(0) var<uniform> params: RopeParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> rope_table: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (state.finished != 0u || id.x >= params.padded_width) {
    return;
  }
  var value = 0.0;
  if (id.x < params.width) {
    let row = params.x_base + id.y * params.x_stride;
    let e = id.x % params.head - params.first;
    value = x[row + id.x];
    if (e < ROTATED) {
      let turn = turn_of(e, state.position + id.y);
      value = value * turn.cosine + x[row + id.x - e + turn.other] * turn.sine;
    }
  }
  y[params.y_base + id.y * params.y_stride + id.x] = value;
}
