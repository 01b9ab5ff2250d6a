// y's groups of columns are those of a, params.width_a columns from first_a on, followed by width_b columns of b.

@group(0) @binding(0) var<uniform> params: ColumnsParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (state.finished != 0u || id.x >= params.padded_width) {
    return;
  }
  let width = params.width_a + params.width_b;
  let group = id.x / width;
  let column = id.x % width;
  var value = 0.0;
  if (group < params.groups) {
    if (column < params.width_a) {
      value = a[params.a_base + id.y * params.a_stride + group * params.group_a + params.first_a + column];
    } else {
      value = b[params.b_base + id.y * params.b_stride + group * params.width_b + column - params.width_a];
    }
  }
  y[params.y_base + id.y * params.y_stride + id.x] = value;
}
