// See code_book.wgsl.

const ZERO = 0.0;

var<workgroup> code_book: array<u32, 16>;  // signed bytes

// Before the first load_bytes, with a barrier between them.
fn prepare(local: u32) {
  if (local < 16u) {
    code_book[local] = (values[local >> 2u] >> ((local & 3u) * 8u)) & 255u;
  }
}

fn four_of_book(codes: u32) -> u32 {
  return code_book[codes & 15u] | (code_book[(codes >> 8u) & 15u] << 8u) | (code_book[(codes >> 16u) & 15u] << 16u) |
         (code_book[(codes >> 24u) & 15u] << 24u);
}

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let w = weights4[block];
  return Bytes(vec4<u32>(four_of_book(w.x), four_of_book(w.y), four_of_book(w.z), four_of_book(w.w)),
               vec4<u32>(four_of_book(w.x >> 4u), four_of_book(w.y >> 4u), four_of_book(w.z >> 4u), four_of_book(w.w >> 4u)),
               scales_of(block), vec2<f32>());
}
