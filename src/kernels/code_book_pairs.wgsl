// See code_book.wgsl. A byte has the indices of two weights, four apart.

var<workgroup> code_book: array<u32, 256>;  // two halves, of the lower index at bit 0 and of the upper at bit 16

// Before the first load32 or load8_in_tile, with a barrier between them.
fn prepare(local: u32) {
  for (var i = local; i < 256u; i += WORKGROUP) {
    code_book[i] = pack2x16float(look_up(values, vec4<u32>(i, i >> 4u, 0u, 0u)).xy);
  }
}

fn eight_of_book(codes: u32) -> Eight {
  let a = unpack2x16float(code_book[codes & 255u]);
  let b = unpack2x16float(code_book[(codes >> 8u) & 255u]);
  let c = unpack2x16float(code_book[(codes >> 16u) & 255u]);
  let d = unpack2x16float(code_book[codes >> 24u]);
  return Eight(vec4<f32>(a.x, b.x, c.x, d.x), vec4<f32>(a.y, b.y, c.y, d.y));
}

fn load32(row: u32, n: u32) -> Block {
  let w = weights4[row + n];
  let a = eight_of_book(w.x);
  let b = eight_of_book(w.y);
  let c = eight_of_book(w.z);
  let d = eight_of_book(w.w);
  return Block(array<vec4<f32>, 8>(a.lo, a.hi, b.lo, b.hi, c.lo, c.hi, d.lo, d.hi), scales_of(row + n), vec2<f32>(0.0));
}

// As load8, once there is the book.
fn load8_in_tile(unit: u32) -> Eight {
  let d = scales_of(unit >> 2u)[(unit >> 1u) & 1u];
  let v = eight_of_book(weights1[unit]);
  return Eight(d * v.lo, d * v.hi);
}
