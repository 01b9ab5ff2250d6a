// Of formats that have no way of their own to load 32 weights. Behind the end of a row its last eight stand in for the rest,
// where activations are zero.
const GROUP = 32u;

fn load8_of_row(row: u32, u: u32) -> Eight {
  return load8(row + min(u, params.row_units - 1u));
}

fn load32(row: u32, u: u32) -> Block {
  let a = load8_of_row(row, u);
  let b = load8_of_row(row, u + 1u);
  let c = load8_of_row(row, u + 2u);
  let d = load8_of_row(row, u + 3u);
  return Block(array<vec4<f32>, 8>(a.lo, a.hi, b.lo, b.hi, c.lo, c.hi, d.lo, d.hi), vec2<f32>(1.0), vec2<f32>(0.0));
}
