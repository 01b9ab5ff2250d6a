// Of formats that have no way of their own to load 32 weights.
const GROUP = 32u;

fn load32(row: u32, u: u32) -> Block {
  let a = load8(row + u);
  let b = load8(row + u + 1u);
  let c = load8(row + u + 2u);
  let d = load8(row + u + 3u);
  return Block(array<vec4<f32>, 8>(a.lo, a.hi, b.lo, b.hi, c.lo, c.hi, d.lo, d.hi), vec2<f32>(1.0), vec2<f32>(0.0));
}
