// See code_book.wgsl. A byte has the indices of two weights, four apart.

const ZERO = 0.0;

var<workgroup> code_book: array<u32, 256>;  // signed bytes, of the lower index at bit 0 and of the upper at bit 16

fn value(index: u32) -> u32 {
  return (values[index >> 2u] >> ((index & 3u) * 8u)) & 255u;
}

// Before the first load_bytes, with a barrier between them.
fn prepare(local: u32) {
  for (var i = local; i < 256u; i += WORKGROUP) {
    code_book[i] = value(i & 15u) | (value(i >> 4u) << 16u);
  }
}

// Eight weights.
fn bytes_of_book(codes: u32) -> vec2<u32> {
  let first = code_book[codes & 255u] | (code_book[(codes >> 8u) & 255u] << 8u);
  let last = code_book[(codes >> 16u) & 255u] | (code_book[codes >> 24u] << 8u);
  return vec2<u32>((first & 0xffffu) | (last << 16u), (first >> 16u) | (last & 0xffff0000u));
}

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let w = weights4[block];
  let a = bytes_of_book(w.x);
  let b = bytes_of_book(w.y);
  let c = bytes_of_book(w.z);
  let d = bytes_of_book(w.w);
  return Bytes(vec4<u32>(a.x, b.x, c.x, d.x), vec4<u32>(a.y, b.y, c.y, d.y), scales_of(block), vec2<f32>());
}
