// Weights and 128 more, as bytes.
fn point(index: u32, signs: u32) -> vec2<u32> {
  return vec2<u32>(signed_bytes(table[2u * index], signs), signed_bytes(table[2u * index + 1u], signs >> 4u));
}

fn point_of(indices: u32, group: u32, part: u32) -> vec2<u32> {
  return point((indices >> (8u * part)) & 255u, eight_signs((group >> (7u * part)) & 127u));
}

fn scale_of(block: u32, group: u32) -> f32 {
  return half_at(params.plane1, block >> 3u) * (f32(group >> 28u) + 0.5) * 0.25;
}

fn load8(unit: u32) -> Eight {
  let block = unit >> 2u;
  let group = weights1[2u * block + 1u];
  let scale = scale_of(block, group);
  let p = point_of(weights1[2u * block], group, unit & 3u);
  return Eight(scale * unsigned_bytes(p.x) - 128.0 * scale, scale * unsigned_bytes(p.y) - 128.0 * scale);
}

const GROUP = 32u;  // see products.wgsl
const ZERO = 128.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let indices = weights1[2u * block];
  let group = weights1[2u * block + 1u];
  let a = point_of(indices, group, 0u);
  let b = point_of(indices, group, 1u);
  let c = point_of(indices, group, 2u);
  let d = point_of(indices, group, 3u);
  let scale = vec2<f32>(scale_of(block, group));
  return Bytes(vec4<u32>(a.x, b.x, c.x, d.x), vec4<u32>(a.y, b.y, c.y, d.y), scale, vec2<f32>());
}
