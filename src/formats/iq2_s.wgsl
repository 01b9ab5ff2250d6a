// Weights and 128 more, as bytes.
fn point(index: u32, signs: u32) -> vec2<u32> {
  return vec2<u32>(signed_bytes(table[2u * index], signs), signed_bytes(table[2u * index + 1u], signs >> 4u));
}

// code: index and signs, a byte each; upper: two more bits of the index.
fn point_of(code: u32, upper: u32) -> vec2<u32> {
  return point((code & 255u) | ((upper & 3u) << 8u), (code >> 8u) & 255u);
}

// Of both halves of a block of 32.
fn scale_of(block: u32, group: u32) -> vec2<f32> {
  let s = vec2<f32>(f32((group >> 8u) & 15u), f32(group >> 12u));
  return half_at(params.plane2, block >> 3u) * 0.25 * (s + 0.5);
}

fn load8(unit: u32) -> Eight {
  let group = half_word_at(params.plane1, unit >> 2u);
  let scale = scale_of(unit >> 2u, group)[(unit >> 1u) & 1u];
  let p = point_of(half_word_at(0u, unit), group >> (2u * (unit & 3u)));
  return Eight(scale * unsigned_bytes(p.x) - 128.0 * scale, scale * unsigned_bytes(p.y) - 128.0 * scale);
}

const GROUP = 16u;  // see products.wgsl
const ZERO = 128.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let group = half_word_at(params.plane1, block);
  let first = weights1[2u * block];
  let last = weights1[2u * block + 1u];
  let a = point_of(first, group);
  let b = point_of(first >> 16u, group >> 2u);
  let c = point_of(last, group >> 4u);
  let d = point_of(last >> 16u, group >> 6u);
  let scale = scale_of(block, group);
  return Bytes(vec4<u32>(a.x, b.x, c.x, d.x), vec4<u32>(a.y, b.y, c.y, d.y), scale, vec2<f32>());
}
