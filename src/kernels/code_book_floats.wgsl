// See code_book.wgsl. In little memory, and without halves, of which a CPU makes floats step by step.

var<workgroup> code_book: array<f32, 16>;

// Before the first load32, with a barrier between them.
fn prepare(local: u32) {
  for (var i = local; i < 16u; i += WORKGROUP) {
    code_book[i] = look_up(values, vec4<u32>(i)).x;
  }
}

fn four_of_book(codes: u32) -> vec4<f32> {
  return vec4<f32>(code_book[codes & 15u], code_book[(codes >> 8u) & 15u], code_book[(codes >> 16u) & 15u],
                   code_book[(codes >> 24u) & 15u]);
}

fn load32(row: u32, n: u32) -> Block {
  let w = weights4[row + n];
  return Block(array<vec4<f32>, 8>(four_of_book(w.x), four_of_book(w.x >> 4u), four_of_book(w.y), four_of_book(w.y >> 4u),
                                   four_of_book(w.z), four_of_book(w.z >> 4u), four_of_book(w.w), four_of_book(w.w >> 4u)),
               scales_of(row + n), vec2<f32>(0.0));
}
