// Two points with their signs: weights and 128 more, as bytes. upper: the ninth bit of each index.
fn point_of(codes: u32, upper: u32, signs: u32) -> vec2<u32> {
  let first = table[(codes & 255u) | ((upper & 1u) << 8u)];
  let last = table[((codes >> 8u) & 255u) | ((upper & 2u) << 7u)];
  return vec2<u32>(signed_bytes(first, signs), signed_bytes(last, signs >> 4u));
}

// The ninth bits of a block of 32.
fn upper_of(block: u32) -> u32 {
  return weights1[params.plane2 + 3u * (block >> 3u) + ((block >> 2u) & 1u)] >> ((block & 3u) * 8u);
}

fn scale_of(block: u32) -> f32 {
  let s = (weights1[params.plane2 + 3u * (block >> 3u) + 2u] >> ((block & 7u) * 4u)) & 15u;
  return half_at(params.plane3, block >> 3u) * f32(2u * s + 1u);
}

fn load8(unit: u32) -> Eight {
  let block = unit >> 2u;
  let scale = scale_of(block);
  let p = point_of(half_word_at(0u, unit), upper_of(block) >> (2u * (unit & 3u)), byte_at(params.plane1, unit));
  return Eight(scale * unsigned_bytes(p.x) - 128.0 * scale, scale * unsigned_bytes(p.y) - 128.0 * scale);
}

const GROUP = 32u;  // see products.wgsl
const ZERO = 128.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let upper = upper_of(block);
  let signs = weights1[params.plane1 + block];
  let first = weights1[2u * block];
  let last = weights1[2u * block + 1u];
  let a = point_of(first, upper, signs);
  let b = point_of(first >> 16u, upper >> 2u, signs >> 8u);
  let c = point_of(last, upper >> 4u, signs >> 16u);
  let d = point_of(last >> 16u, upper >> 6u, signs >> 24u);
  let scale = vec2<f32>(scale_of(block));
  return Bytes(vec4<u32>(a.x, b.x, c.x, d.x), vec4<u32>(a.y, b.y, c.y, d.y), scale, vec2<f32>());
}
