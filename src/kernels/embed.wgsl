// y[t] = table[tokens[t]], or table[its position] with BY_POSITION. A table that is cut into parts has one dispatch for
// each part, which writes only the tokens whose rows are in that part.

@group(0) @binding(0) var<uniform> params: EmbedParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> weights4: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> weights1: array<u32>;
@group(0) @binding(4) var<storage, read> tokens: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var number = state.position + id.y;
  if (!BY_POSITION) {
    number = tokens[id.y];
  }
  let row = number - params.first_row;
  if (state.finished != 0u || id.x >= params.row_units || row >= params.rows) {
    return;
  }
  let v = load8(row * params.row_units + id.x);
  let at = id.y * params.y_stride + 2u * id.x;
  y[at] = v.lo;
  y[at + 1u] = v.hi;
}
