fn point(index: u32) -> vec2<u32> {
  return vec2<u32>(table[2u * index], table[2u * index + 1u]);
}

fn load8(unit: u32) -> Eight {
  let group = half_word_at(params.plane1, unit >> 2u);
  let scale = half_at(params.plane2, unit >> 5u) * f32(2u * ((group >> 12u) & 7u) + 1u);
  let shift = select(-0.875, -1.125, (group & 0x8000u) != 0u);
  let c = point(byte_at(0u, unit) | (((group >> (3u * (unit & 3u))) & 7u) << 8u));
  return Eight(scale * (unsigned_bytes(c.x) + shift), scale * (unsigned_bytes(c.y) + shift));
}

const GROUP = 32u;  // see products.wgsl
const ZERO = 0.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let group = half_word_at(params.plane1, block);
  let scale = half_at(params.plane2, block >> 3u) * f32(2u * ((group >> 12u) & 7u) + 1u);
  let shift = select(-0.875, -1.125, (group & 0x8000u) != 0u);
  let codes = weights1[block];
  let a = point((codes & 255u) | ((group & 7u) << 8u));
  let b = point(((codes >> 8u) & 255u) | ((group & 0x38u) << 5u));
  let c = point(((codes >> 16u) & 255u) | ((group & 0x1c0u) << 2u));
  let d = point((codes >> 24u) | ((group & 0xe00u) >> 1u));
  return Bytes(vec4<u32>(a.x, b.x, c.x, d.x), vec4<u32>(a.y, b.y, c.y, d.y), vec2<f32>(scale), vec2<f32>(scale * shift));
}
