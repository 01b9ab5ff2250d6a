fn four_bytes(word: u32) -> vec4<f32> {
  return vec4<f32>(vec4<i32>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}

fn load8(unit: u32) -> Eight {
  let d = half_at(params.plane1, unit >> 2u);
  return Eight(d * four_bytes(weights1[2u * unit]), d * four_bytes(weights1[2u * unit + 1u]));
}

const GROUP = 32u;  // see products.wgsl
const ZERO = 128.0;

// Signed bytes as unsigned ones.
fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let first = weights4[2u * block] ^ vec4<u32>(0x80808080u);
  let last = weights4[2u * block + 1u] ^ vec4<u32>(0x80808080u);
  return Bytes(vec4<u32>(first.xz, last.xz), vec4<u32>(first.yw, last.yw), vec2<f32>(half_at(params.plane1, block)), vec2<f32>());
}
