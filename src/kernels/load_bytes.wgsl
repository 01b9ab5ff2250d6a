// Of formats whose weights are bytes.

const STEP = 1u;
const SHIFT = ZERO;

fn load32(row: u32, n: u32) -> Block {
  let w = load_bytes(row, n);
  return Block(array<vec4<f32>, 8>(unsigned_bytes(w.lo.x), unsigned_bytes(w.hi.x), unsigned_bytes(w.lo.y), unsigned_bytes(w.hi.y),
                                   unsigned_bytes(w.lo.z), unsigned_bytes(w.hi.z), unsigned_bytes(w.lo.w), unsigned_bytes(w.hi.w)),
               w.scale, w.offset);
}
