// Weights and 128 more, as bytes.
fn point(index: u32, signs: u32) -> vec2<u32> {
  return vec2<u32>(signed_bytes(table[2u * index], signs), signed_bytes(table[2u * index + 1u], signs >> 4u));
}

fn point_of(code: u32) -> vec2<u32> {
  return point(code & 511u, eight_signs((code >> 9u) & 127u));
}

// Of both halves of a block of 32.
fn scale_of(block: u32) -> vec2<f32> {
  let s = weights1[params.plane1 + (block >> 2u)] >> ((block & 3u) * 8u);
  return half_at(params.plane2, block >> 3u) * 0.25 * (vec2<f32>(f32(s & 15u), f32((s >> 4u) & 15u)) + 0.5);
}

fn load8(unit: u32) -> Eight {
  let scale = scale_of(unit >> 2u)[(unit >> 1u) & 1u];
  let p = point_of(half_word_at(0u, unit));
  return Eight(scale * unsigned_bytes(p.x) - 128.0 * scale, scale * unsigned_bytes(p.y) - 128.0 * scale);
}

const GROUP = 16u;  // see products.wgsl
const ZERO = 128.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let first = weights1[2u * block];
  let last = weights1[2u * block + 1u];
  let a = point_of(first);
  let b = point_of(first >> 16u);
  let c = point_of(last);
  let d = point_of(last >> 16u);
  let scale = scale_of(block);
  return Bytes(vec4<u32>(a.x, b.x, c.x, d.x), vec4<u32>(a.y, b.y, c.y, d.y), scale, vec2<f32>());
}
