// Two points with their signs: weights and 128 more, as bytes.
fn point_of(codes: u32, seven: u32) -> vec2<u32> {
  let signs = eight_signs(seven & 127u);
  return vec2<u32>(signed_bytes(table[codes & 255u], signs), signed_bytes(table[(codes >> 8u) & 255u], signs >> 4u));
}

fn scale_of(block: u32, group: u32) -> f32 {
  return half_at(params.plane2, block >> 3u) * (f32(group >> 28u) + 0.5) * 0.5;
}

fn load8(unit: u32) -> Eight {
  let block = unit >> 2u;
  let group = weights1[params.plane1 + block];
  let scale = scale_of(block, group);
  let p = point_of(half_word_at(0u, unit), group >> (7u * (unit & 3u)));
  return Eight(scale * unsigned_bytes(p.x) - 128.0 * scale, scale * unsigned_bytes(p.y) - 128.0 * scale);
}

const GROUP = 32u;  // see products.wgsl
const ZERO = 128.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let group = weights1[params.plane1 + block];
  let first = weights1[2u * block];
  let last = weights1[2u * block + 1u];
  let a = point_of(first, group);
  let b = point_of(first >> 16u, group >> 7u);
  let c = point_of(last, group >> 14u);
  let d = point_of(last >> 16u, group >> 21u);
  let scale = vec2<f32>(scale_of(block, group));
  return Bytes(vec4<u32>(a.x, b.x, c.x, d.x), vec4<u32>(a.y, b.y, c.y, d.y), scale, vec2<f32>());
}
